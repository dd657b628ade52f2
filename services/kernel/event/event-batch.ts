/**
 * Packs events into the wire form of `repeated bytes events = 1` and back.
 *
 * Keeps: a stored row's bytes are what travels (`RawEventBatch`, and `EventBatch`, which is the same on the wire), so a
 * page of a log can be sent without touching its events.
 */
import { readEventRange } from "./read-event-range.ts";
import type { StoredEvent } from "./stored-event.ts";
import { MalformedWire, WireReader } from "./wire-reader.ts";
import { varintSize, writeVarint } from "./wire-varint.ts";

const eventsTag = 0x0a;

/** Packs events in their order. */
export function packEvents(events: readonly StoredEvent[]): Uint8Array {
  let size = 0;
  for (const { bytes } of events) {
    size += 1 + varintSize(bytes.length) + bytes.length;
  }
  const packed = new Uint8Array(size);
  let at = 0;
  for (const { bytes } of events) {
    packed[at] = eventsTag;
    at = writeVarint(packed, at + 1, bytes.length);
    packed.set(bytes, at);
    at += bytes.length;
  }
  return packed;
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
