/**
 * Appends the server's fields to an event that a worker or a service encoded: architecture.md, Event model, Bytes.
 *
 * Keeps: the event's own bytes are copied, never decoded; concatenation is legal Protobuf, and the last value of a field
 * wins, so what is appended here is what a reader sees.
 */
import { varintSize, writeVarint } from "./wire-varint.ts";

const firstSeqTag = 0x08;
const seqTag = 0x10;
const timeTag = 0x1a;
const secondsTag = 0x08;
const nanosTag = 0x10;

/** The field `time` with its tag, encoded once for all events of a commit. `atMs` is milliseconds since 1970, at least 0. */
export function encodeEventTime(atMs: number): Uint8Array {
  const seconds = Math.floor(atMs / 1000);
  const nanos = Math.floor(atMs % 1000) * 1_000_000;
  const length = 2 + varintSize(seconds) + varintSize(nanos);
  const field = new Uint8Array(2 + length);
  field[0] = timeTag;
  field[1] = length;
  field[2] = secondsTag;
  const at = writeVarint(field, 3, seconds);
  field[at] = nanosTag;
  writeVarint(field, at + 1, nanos);
  return field;
}

/** Stamps one encoded event with the range that it covers and a time from `encodeEventTime`. */
export function stampEvent(encoded: Uint8Array, firstSeq: number, seq: number, time: Uint8Array): Uint8Array {
  const stamped = new Uint8Array(stampedSize(encoded, firstSeq, seq, time));
  writeStamped(stamped, 0, encoded, firstSeq, seq, time);
  return stamped;
}

/** How large an event is once it is stamped, in bytes. */
export function stampedSize(encoded: Uint8Array, firstSeq: number, seq: number, time: Uint8Array): number {
  return encoded.length + 2 + varintSize(firstSeq) + varintSize(seq) + time.length;
}

/** Writes the stamped event at `offset` and returns the offset after it. */
export function writeStamped(
  target: Uint8Array,
  offset: number,
  encoded: Uint8Array,
  firstSeq: number,
  seq: number,
  time: Uint8Array,
): number {
  target.set(encoded, offset);
  let at = offset + encoded.length;
  target[at] = firstSeqTag;
  at = writeVarint(target, at + 1, firstSeq);
  target[at] = seqTag;
  at = writeVarint(target, at + 1, seq);
  target.set(time, at);
  return at + time.length;
}
