/**
 * Appends the server's fields to an event that a worker or a service encoded: architecture.md, Event model, Bytes.
 *
 * Keeps: the event's own bytes are copied, never decoded; concatenation is legal Protobuf, and the last value of a field
 * wins, so what is appended here is what a reader sees.
 */
import type { StoredEvent } from "./stored-event.ts";
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
  const length = encoded.length;
  const stamped = new Uint8Array(length + 2 + varintSize(firstSeq) + varintSize(seq) + time.length);
  stamped.set(encoded);
  stamped[length] = firstSeqTag;
  let at = writeVarint(stamped, length + 1, firstSeq);
  stamped[at] = seqTag;
  at = writeVarint(stamped, at + 1, seq);
  stamped.set(time, at);
  return stamped;
}

/** Stamps events that follow `headSeq`, one number each. */
export function stampEvents(encoded: readonly Uint8Array[], headSeq: number, atMs: number): StoredEvent[] {
  const time = encodeEventTime(atMs);
  return encoded.map((bytes, index) => {
    const seq = headSeq + 1 + index;
    return { firstSeq: seq, seq, bytes: stampEvent(bytes, seq, seq, time) };
  });
}
