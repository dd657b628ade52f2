/**
 * Reads and writes deltas in their encoded form: where they stand in which block, without decoding their text.
 *
 * Keeps S7: an event that has anything else in it, of a later version perhaps, is no delta here. Neither is one that can't
 * be decoded (its bytes end early, or its text is no UTF-8), so that nothing is ever joined with it: its neighbours stay
 * readable.
 */
import { isUtf8 } from "node:buffer";
import type { StoredEvent } from "../stored-event.ts";
import { stampEvent } from "./stamp-event.ts";
import { lengthDelimitedWireType, MalformedWire, WireReader } from "./wire-reader.ts";
import { varintSize, writeVarint } from "./wire-varint.ts";

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
export interface Delta {
  readonly event: StoredEvent;
  /** Run, step and attempt, encoded. */
  readonly place: Uint8Array;
  /** The body's tag. */
  readonly kind: number;
  readonly blockId: Uint8Array;
  /** Where its text begins in the block, in bytes. */
  readonly offset: number;
  readonly text: Uint8Array;
  /** The field `time` with its tag. */
  readonly time: Uint8Array;
}

/** Undefined for every other event, for a delta with a field that is not known here, and for one that can't be decoded. */
export function readDelta(event: StoredEvent): Delta | undefined {
  try {
    return walk(event);
  } catch (error) {
    if (error instanceof MalformedWire) return undefined;
    throw error;
  }
}

function walk(event: StoredEvent): Delta | undefined {
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
  return isUtf8(text) ? { blockId, offset, text } : undefined;
}

/** The delta for the numbers `firstSeq..seq`. */
export function encodeDelta(delta: Omit<Delta, "event">, firstSeq: number, seq: number): StoredEvent {
  const { place, kind, blockId, offset, text, time } = delta;
  const bodyBytes =
    1 +
    varintSize(blockId.length) +
    blockId.length +
    1 +
    varintSize(offset) +
    1 +
    varintSize(text.length) +
    text.length;
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
  at = writeVarint(encoded, at + 1, text.length);
  encoded.set(text, at);
  return { firstSeq, seq, bytes: stampEvent(encoded, firstSeq, seq, time) };
}
