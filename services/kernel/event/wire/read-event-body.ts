/** Reads which body an encoded event has, without decoding it. */
import { WireReader } from "./wire-reader.ts";

/** Fields of atoll.event.v1.Event that are no body: 1–6. */
const lastPlainField = 6;

/** The field number of the event's body; 0 when it has none. */
export function readEventBody(bytes: Uint8Array): number {
  const reader = new WireReader(bytes);
  while (reader.at < reader.end) {
    const tag = reader.readTag();
    const field = Math.floor(tag / 8);
    if (field > lastPlainField) return field;
    reader.skip(tag % 8);
  }
  return 0;
}
