import { expect, it } from "vitest";
import { classifyFirstBytes } from "./sniff-protocol.ts";

it.each([
  ["", undefined],
  ["P", undefined],
  ["PRI * HTTP/", undefined],
  ["PRI * HTTP/2", "http2"],
  ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2"],
  ["PRI * HTTP/1", "http1"],
  ["PO", "http1"],
  ["G", "http1"],
  ["\0", "http1"],
  ["\u0016\u0003\u0001", "tls"],
])("takes %j for %s", (bytes, protocol) => {
  expect(classifyFirstBytes(Buffer.from(bytes))).toBe(protocol);
});
