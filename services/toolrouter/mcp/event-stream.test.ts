import { describe, expect, it } from "vitest";
import { EventStream } from "./event-stream.ts";
import { LineTooLong } from "./line-splitter.ts";

describe("an event stream", () => {
  it("gives the same events however its bytes are cut", () => {
    const text =
      ': hello\r\n\r\ndata: {"a":1}\n\nevent: message\nid: 7\ndata: é\ndata:two\n\nevent: other\ndata: no\n\ndata\n\n';
    const bytes = Buffer.from(text);
    for (let size = 1; size <= bytes.length; size++) {
      const stream = new EventStream(1024);
      const seen: string[] = [];
      for (let at = 0; at < bytes.length; at += size) seen.push(...stream.push(bytes.subarray(at, at + size)));
      expect(seen).toEqual(['{"a":1}', "é\ntwo"]);
    }
  });

  it("refuses an event over its bound, in one line or in many", () => {
    expect(() => [...new EventStream(100).push(Buffer.from(`data: ${"x".repeat(100)}`))]).toThrow(LineTooLong);
    expect(() => [...new EventStream(100).push(Buffer.from("data: 12345678\n".repeat(10)))]).toThrow(LineTooLong);
  });
});
