import { describe, expect, it } from "vitest";
import { LongLine } from "../line-splitter.ts";
import { EventStream } from "./event-stream.ts";

describe("an event stream", () => {
  it("gives the same events however its bytes are cut", () => {
    const text =
      ': hello\r\n\r\ndata: {"a":1}\n\nevent: message\nid: 7\ndata: é\ndata:two\n\nevent: other\ndata: no\n\ndata\n\n';
    const bytes = Buffer.from(text);
    for (let size = 1; size <= bytes.length; size++) {
      const stream = new EventStream(1024);
      const seen: (string | LongLine)[] = [];
      for (let at = 0; at < bytes.length; at += size) seen.push(...stream.push(bytes.subarray(at, at + size)));
      expect(seen).toEqual(['{"a":1}', "é\ntwo"]);
    }
  });

  it("throws an event over its bound away, in one line or in many, and goes on behind it", () => {
    const oneLine = `data: {"id":1,${"x".repeat(100)}"id":2}\n\n`;
    const manyLines = `data: {"id":1,\n${"data: 12345678\n".repeat(10)}data: "id":2}\n\n`;
    for (const long of [oneLine, manyLines]) {
      for (const size of [1, 7, 1000]) {
        const bytes = Buffer.from(`${long}data: short\n\n`);
        const stream = new EventStream(100);
        const seen: (string | LongLine)[] = [];
        for (let at = 0; at < bytes.length; at += size) seen.push(...stream.push(bytes.subarray(at, at + size)));
        expect(seen).toHaveLength(2);
        expect(seen[1]).toBe("short");
        const [first] = seen;
        if (!(first instanceof LongLine)) throw new Error("expected a long line");
        expect(first.head).toMatch(/^\{"id":1,/);
        expect(first.tail).toMatch(/"id":2\}$/);
        expect(first.bytes).toBeGreaterThan(100);
      }
    }
  });
});
