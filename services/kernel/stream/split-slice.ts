/** Cuts a slice of a log into parts that a connection takes one by one. Keeps S1 and L7. */
import type { LogSlice } from "./tail-log.ts";

/** Parts of at most `maxBytes` of events, or of one event that is larger; a slice without events is one part. */
export function* splitSlice(slice: LogSlice, maxBytes: number): Generator<LogSlice> {
  const { events } = slice;
  let from = 0;
  let bytes = 0;
  for (const [index, event] of events.entries()) {
    if (index > from && bytes + event.bytes.length > maxBytes) {
      yield { ...slice, events: events.slice(from, index) };
      from = index;
      bytes = 0;
    }
    bytes += event.bytes.length;
  }
  yield from === 0 ? slice : { ...slice, events: events.slice(from) };
}
