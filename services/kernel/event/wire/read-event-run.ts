/** Reads which run an encoded event belongs to, without decoding it: the inside of its body is a worker's word. */
import { lengthDelimitedWireType, WireReader } from "./wire-reader.ts";

/** The tag of atoll.event.v1.Event.run_id. */
const runIdTag = 4 * 8 + lengthDelimitedWireType;
const text = new TextDecoder();

/** The run's id; empty for an event of the session itself. Throws `MalformedWire`. */
export function readEventRun(bytes: Uint8Array): string {
  const reader = new WireReader(bytes);
  let runId = "";
  while (reader.at < reader.end) {
    const tag = reader.readTag();
    if (tag === runIdTag) {
      const end = reader.readLengthEnd();
      runId = text.decode(bytes.subarray(reader.at, end));
      reader.at = end;
    } else reader.skip(tag % 8);
  }
  return runId;
}
