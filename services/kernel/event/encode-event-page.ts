/**
 * Encodes a page of events into one buffer of its size. The library doubles its buffer until a page fits and then copies
 * it: three times a page's megabyte, for the garbage collector to find.
 */
import { toBinary } from "@bufbuild/protobuf";
import { type RawEventPage, RawEventPageSchema } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import { packBytes } from "./wire/event-batch.ts";

/** The same message as the library's `toBinary`, byte for byte. */
export function encodeEventPage(page: RawEventPage): Uint8Array {
  return packBytes(page.events, toBinary(RawEventPageSchema, { ...page, events: [] }));
}
