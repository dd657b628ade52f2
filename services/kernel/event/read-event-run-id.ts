/** Reads which run an encoded event belongs to, without decoding it: the inside of its body is a worker's word. */
import { WireReader } from "./wire-reader.ts";

const runIdTag = 0x22;

/** The field `run_id`; empty when the event has none. Throws `MalformedWire`. */
export function readEventRunId(bytes: Uint8Array): string {
  const reader = new WireReader(bytes);
  let runId = "";
  while (reader.at < reader.end) {
    const tag = reader.readTag();
    if (tag !== runIdTag) {
      reader.skip(tag % 8);
      continue;
    }
    const end = reader.readLengthEnd();
    runId = Buffer.from(bytes.buffer, bytes.byteOffset + reader.at, end - reader.at).toString("utf8");
    reader.at = end;
  }
  return runId;
}
