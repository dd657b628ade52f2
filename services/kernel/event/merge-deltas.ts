/**
 * Merges adjacent deltas of one block into one delta with the wider range, over encoded events.
 *
 * Keeps S3: only deltas that follow each other in the log, belong to one block of one run, step and attempt, and whose
 * text continues where the last one ended. Nothing is decoded as text, so no code point is split. Keeps S1: the merged
 * delta covers exactly the numbers of its parts. Its time is the one of its last part: everything in it was committed by
 * then. An event that has anything else in it, of a later version perhaps, is passed on as it is (S7).
 */

import type { StoredEvent } from "./stored-event.ts";
import { type Delta, encodeDelta, readDelta } from "./wire/read-delta.ts";

/**
 * The most text that a merged delta has, in bytes: about what a window of compaction makes, so that a snapshot hands on
 * what was merged already as it is. Larger ones save no more bytes worth naming, and cost a copy.
 */
const maxTextBytes = 16_384;

/** Keeps the order; events that do not merge are the same objects. */
export function mergeDeltas(events: readonly StoredEvent[]): readonly StoredEvent[] {
  const merged: StoredEvent[] = [];
  let parts: Delta[] = [];
  let textBytes = 0;
  const flush = (): void => {
    const [first] = parts;
    if (first !== undefined) merged.push(parts.length === 1 ? first.event : join(parts, textBytes));
    parts = [];
    textBytes = 0;
  };
  for (const event of events) {
    const delta = readDelta(event);
    if (delta === undefined) {
      flush();
      merged.push(event);
      continue;
    }
    const last = parts.at(-1);
    if (last !== undefined && (!continues(last, delta) || textBytes + delta.text.length > maxTextBytes)) flush();
    parts.push(delta);
    textBytes += delta.text.length;
  }
  flush();
  return merged;
}

function continues(last: Delta, next: Delta): boolean {
  return (
    next.event.firstSeq === last.event.seq + 1 &&
    next.offset === last.offset + last.text.length &&
    next.kind === last.kind &&
    isSame(next.place, last.place) &&
    isSame(next.blockId, last.blockId)
  );
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function join(parts: readonly Delta[], textBytes: number): StoredEvent {
  const [first] = parts;
  const last = parts.at(-1);
  if (first === undefined || last === undefined) throw new RangeError("nothing to join");
  const text = new Uint8Array(textBytes);
  let at = 0;
  for (const part of parts) {
    text.set(part.text, at);
    at += part.text.length;
  }
  return encodeDelta({ ...first, text, time: last.time }, first.event.firstSeq, last.event.seq);
}
