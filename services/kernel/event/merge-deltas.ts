/**
 * Merges adjacent deltas of one block into one delta with the wider range, over encoded events.
 *
 * Keeps S3: only deltas that follow each other in the log, belong to one block of one run, step and attempt, and whose
 * text continues where the last one ended. Nothing is decoded as text, so no code point is split. Keeps S1: the merged
 * delta covers exactly the numbers of its parts. Its time is the one of its last part: everything in it was committed by
 * then. An event that has anything else in it, of a later version perhaps, is passed on as it is (S7).
 */
import { stampEvent } from "./stamp-event.ts";
import type { StoredEvent } from "./stored-event.ts";
import { lengthDelimitedWireType, WireReader } from "./wire-reader.ts";
import { varintSize, writeVarint } from "./wire-varint.ts";

/** The most text that a merged delta has, in bytes. */
const maxTextBytes = 65_536;

const runIdTag = 0x22;
const stepTag = 0x28;
const attemptTag = 0x30;
const textDeltaTag = 0x3a;
const thinkingDeltaTag = 0x42;
const firstSeqTag = 0x08;
const seqTag = 0x10;
const timeTag = 0x1a;
const blockIdTag = 0x0a;
const offsetTag = 0x10;
const textTag = 0x1a;

/** What the parts of a block have in common, and what one of them says. */
interface Delta {
  readonly event: StoredEvent;
  /** Run, step and attempt, encoded. */
  readonly place: Uint8Array;
  /** The body's tag. */
  readonly kind: number;
  readonly blockId: Uint8Array;
  readonly offset: number;
  readonly text: Uint8Array;
  /** The field `time` with its tag. */
  readonly time: Uint8Array;
}

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

/** Undefined for every other event, and for a delta with a field that is not known here. */
function readDelta(event: StoredEvent): Delta | undefined {
  const reader = new WireReader(event.bytes);
  let placeEnd = 0;
  let kind = 0;
  let body: WireReader | undefined;
  let time: Uint8Array | undefined;
  while (reader.at < reader.end) {
    const from = reader.at;
    const tag = reader.readTag();
    switch (tag) {
      case runIdTag:
      case stepTag:
      case attemptTag:
        reader.skip(tag % 8);
        // The place is compared and copied as it was written: it stands before the body.
        if (body !== undefined || from !== placeEnd) return undefined;
        placeEnd = reader.at;
        break;
      case textDeltaTag:
      case thinkingDeltaTag: {
        if (body !== undefined) return undefined;
        kind = tag;
        const end = reader.readLengthEnd();
        body = new WireReader(event.bytes, reader.at, end);
        reader.at = end;
        break;
      }
      case firstSeqTag:
      case seqTag:
        reader.readVarint();
        break;
      case timeTag:
        reader.skip(lengthDelimitedWireType);
        time = event.bytes.subarray(from, reader.at);
        break;
      default:
        return undefined;
    }
  }
  if (body === undefined || time === undefined) return undefined;
  const said = readBody(body);
  return said === undefined ? undefined : { event, place: event.bytes.subarray(0, placeEnd), kind, time, ...said };
}

function readBody(reader: WireReader): Pick<Delta, "blockId" | "offset" | "text"> | undefined {
  const { bytes } = reader;
  let blockId = bytes.subarray(0, 0);
  let text = blockId;
  let offset = 0;
  while (reader.at < reader.end) {
    const tag = reader.readTag();
    if (tag === offsetTag) {
      offset = reader.readVarint();
      continue;
    }
    if (tag !== blockIdTag && tag !== textTag) return undefined;
    const end = reader.readLengthEnd();
    const value = bytes.subarray(reader.at, end);
    if (tag === blockIdTag) blockId = value;
    else text = value;
    reader.at = end;
  }
  return { blockId, offset, text };
}

function join(parts: readonly Delta[], textBytes: number): StoredEvent {
  const [first] = parts;
  const last = parts.at(-1);
  if (first === undefined || last === undefined) throw new RangeError("nothing to join");
  const { place, kind, blockId, offset } = first;
  const bodyBytes =
    1 + varintSize(blockId.length) + blockId.length + 1 + varintSize(offset) + 1 + varintSize(textBytes) + textBytes;
  const encoded = new Uint8Array(place.length + 1 + varintSize(bodyBytes) + bodyBytes);
  encoded.set(place);
  let at = place.length;
  encoded[at] = kind;
  at = writeVarint(encoded, at + 1, bodyBytes);
  encoded[at] = blockIdTag;
  at = writeVarint(encoded, at + 1, blockId.length);
  encoded.set(blockId, at);
  at += blockId.length;
  encoded[at] = offsetTag;
  at = writeVarint(encoded, at + 1, offset);
  encoded[at] = textTag;
  at = writeVarint(encoded, at + 1, textBytes);
  for (const { text } of parts) {
    encoded.set(text, at);
    at += text.length;
  }
  const { firstSeq } = first.event;
  const { seq } = last.event;
  return { firstSeq, seq, bytes: stampEvent(encoded, firstSeq, seq, last.time) };
}
