/**
 * Encodes a page of events into one buffer of its size. The library doubles its buffer until a page fits and then copies
 * it: three times a page's megabyte, for the garbage collector to find.
 */
import { toBinary } from "@bufbuild/protobuf";
import { type RawEventPage, RawEventPageSchema } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import { varintSize, writeVarint } from "./wire-varint.ts";

/** `repeated bytes events = 1`. */
const eventsTag = 0x0a;

/** The same message as the library's `toBinary`, byte for byte. */
export function encodeEventPage(page: RawEventPage): Uint8Array {
  const rest = toBinary(RawEventPageSchema, { ...page, events: [] });
  let size = rest.length;
  for (const event of page.events) size += 1 + varintSize(event.length) + event.length;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const event of page.events) {
    bytes[at] = eventsTag;
    at = writeVarint(bytes, at + 1, event.length);
    bytes.set(event, at);
    at += event.length;
  }
  bytes.set(rest, at);
  return bytes;
}
