/** Reads the field `time` of an encoded event as it was written, without decoding it. */
import { lengthDelimitedWireType, WireReader } from "./wire-reader.ts";

const timeTag = 0x1a;

/** The last field `time` with its tag, which is what a decoder takes; empty when the event has none. Throws `MalformedWire`. */
export function readEventTime(bytes: Uint8Array): Uint8Array {
  const reader = new WireReader(bytes);
  let time = bytes.subarray(0, 0);
  while (reader.at < reader.end) {
    const from = reader.at;
    const tag = reader.readTag();
    reader.skip(tag === timeTag ? lengthDelimitedWireType : tag % 8);
    if (tag === timeTag) time = bytes.subarray(from, reader.at);
  }
  return time;
}
