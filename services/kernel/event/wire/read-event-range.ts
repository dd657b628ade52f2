/**
 * Reads the range that a stored event covers without decoding it.
 *
 * Keeps: only top-level tags are walked, so the cost does not grow with the body.
 */
import { MalformedWire, WireReader } from "./wire-reader.ts";

const firstSeqTag = 0x08;
const seqTag = 0x10;

/** The closed range `firstSeq..seq`. */
export interface EventRange {
  readonly firstSeq: number;
  readonly seq: number;
}

/** The range of an encoded event between two offsets of `bytes`. Throws `MalformedWire` when there is none. */
export function readEventRange(bytes: Uint8Array, start = 0, end: number = bytes.length): EventRange {
  const reader = new WireReader(bytes, start, end);
  let firstSeq = 0;
  let seq = 0;
  while (reader.at < end) {
    const tag = reader.readTag();
    if (tag === firstSeqTag) {
      firstSeq = reader.readVarint();
    } else if (tag === seqTag) {
      seq = reader.readVarint();
    } else {
      reader.skip(tag & 7);
    }
  }
  if (firstSeq < 1 || seq < firstSeq || seq > Number.MAX_SAFE_INTEGER) {
    throw new MalformedWire(`an event covers ${firstSeq}..${seq}`);
  }
  return { firstSeq, seq };
}
