import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { crc32 } from "./crc32.ts";
import { indexAtByte, utf8Length } from "./utf8.ts";

const anyText = fc.string({ unit: "binary" });

test("crc32 agrees with zlib on every text", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      expect(crc32(text)).toBe(zlibCrc32(text));
    }),
  );
});

test("utf8Length counts the bytes that an encoder writes", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      expect(utf8Length(text)).toBe(new TextEncoder().encode(text).length);
    }),
  );
});

test("indexAtByte finds every border between code points and nothing else", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const borders = new Map<number, number>([[0, 0]]);
      let index = 0;
      for (const point of text) {
        index += point.length;
        borders.set(utf8Length(text.slice(0, index)), index);
      }
      for (let byte = 0; byte <= utf8Length(text) + 1; byte++)
        expect(indexAtByte(text, byte, 0)).toBe(borders.get(byte));
    }),
  );
});
