/**
 * Packs events into the wire form of `repeated bytes events = 1` and back.
 *
 * Keeps: a stored row's bytes are what travels (`RawEventBatch`, and `EventBatch`, which is the same on the wire), so a
 * page of a log can be sent without touching its events.
 */

import type { StoredEvent } from "../stored-event.ts";
import { readEventRange } from "./read-event-range.ts";
import { encodeEventTime, stampedSize, writeStamped } from "./stamp-event.ts";
import { MalformedWire, WireReader } from "./wire-reader.ts";
import { varintSize, writeVarint } from "./wire-varint.ts";

const eventsTag = 0x0a;

/** Packs events in their order. */
export function packEvents(events: readonly StoredEvent[]): Uint8Array {
  return packBytes(events.map(({ bytes }) => bytes));
}

/** Packs encoded events into one buffer of their size, with the bytes of other fields behind them. */
export function packBytes(encoded: readonly Uint8Array[], rest: Uint8Array = new Uint8Array()): Uint8Array {
  let size = rest.length;
  for (const bytes of encoded) {
    size += 1 + varintSize(bytes.length) + bytes.length;
  }
  const packed = new Uint8Array(size);
  let at = 0;
  for (const bytes of encoded) {
    packed[at] = eventsTag;
    at = writeVarint(packed, at + 1, bytes.length);
    packed.set(bytes, at);
    at += bytes.length;
  }
  packed.set(rest, at);
  return packed;
}

/** Events as they are stored, and the same as one row; the events share its memory. */
export interface StampedBatch {
  readonly events: StoredEvent[];
  readonly packed: Uint8Array;
}

/** Stamps events that follow `headSeq`, one number each, and packs them. `atMs` is milliseconds since 1970. */
export function packStamped(encoded: readonly Uint8Array[], headSeq: number, atMs: number): StampedBatch {
  const time = encodeEventTime(atMs);
  let size = 0;
  let seq = headSeq;
  for (const bytes of encoded) {
    seq += 1;
    const length = stampedSize(bytes, seq, seq, time);
    size += 1 + varintSize(length) + length;
  }
  const packed = new Uint8Array(size);
  const events: StoredEvent[] = [];
  let at = 0;
  seq = headSeq;
  for (const bytes of encoded) {
    seq += 1;
    packed[at] = eventsTag;
    const start = writeVarint(packed, at + 1, stampedSize(bytes, seq, seq, time));
    at = writeStamped(packed, start, bytes, seq, seq, time);
    events.push({ firstSeq: seq, seq, bytes: packed.subarray(start, at) });
  }
  return { events, packed };
}

/** Unpacks what `packEvents` packed; the events share the memory of `packed`. Throws `MalformedWire`. */
export function unpackEvents(packed: Uint8Array): StoredEvent[] {
  const reader = new WireReader(packed);
  const events: StoredEvent[] = [];
  while (reader.at < packed.length) {
    const tag = reader.readTag();
    if (tag !== eventsTag) {
      throw new MalformedWire(`a batch of events has the tag ${tag}`);
    }
    const end = reader.readLengthEnd();
    const { firstSeq, seq } = readEventRange(packed, reader.at, end);
    events.push({ firstSeq, seq, bytes: packed.subarray(reader.at, end) });
    reader.at = end;
  }
  return events;
}
