import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { PastedLines } from "./pasted-lines.ts";

/** The message that a line editor makes of what it is given, up to the first Enter. */
function messageOf(...reads: readonly (string | Buffer)[]): string | undefined {
  const pasted = new PastedLines();
  const given = reads.map((read) => pasted.take(Buffer.from(read))).join("");
  const end = given.search(/[\r\n]/);
  return end < 0 ? undefined : pasted.messageOf(given.slice(0, end));
}

const open = "\u001b[200~";
const close = "\u001b[201~";

describe("what is pasted", () => {
  it.each([
    ["three lines in brackets", [`${open}one\rtwo\rthree${close}`, "\r"], "one\ntwo\nthree"],
    ["lines with line feeds", [`${open}one\ntwo${close}`, "\r"], "one\ntwo"],
    ["lines with both", [`${open}one\r\n\r\ntwo${close}`, "\r"], "one\n\ntwo"],
    ["a line break at its end", [`${open}one\rtwo\r${close}`, "\r"], "one\ntwo\n"],
    ["brackets that come in pieces", ["\u001b[200", "~one\r", "two\u001b[2", "01~", "!\r"], "one\ntwo!"],
    ["words typed around it", ["say: ", `${open}a\rb${close}`, " please", "\r"], "say: a\nb please"],
    ["two pastes", [`${open}a\rb${close}`, `${open}c\rd${close}`, "\r"], "a\nbc\nd"],
    ["what one read brought", ["one\rtwo\rthree\r"], "one\ntwo\nthree"],
    ["what one read brought without an end", ["one\rtwo", "\r"], "one\ntwo"],
    ["tabs", [`${open}\tone\r\ttwo${close}`, "\r"], "    one\n    two"],
    [
      "a letter that is cut by a read",
      [Buffer.from(`${open}ä`).subarray(0, -1), Buffer.from("ä").subarray(1), `\rb${close}`, "\r"],
      "ä\nb",
    ],
    ["the mark itself", [`${open}⏎ one\rtwo${close}`, "\r"], "⏎ one\ntwo"],
    ["keys in a paste", [`${open}a\u001b[A\u0003\rb${close}`, "\r"], "a[A\nb"],
    ["a line that is typed", ["h", "i", "\r"], "hi"],
    ["a line that comes at once", ["hello\r"], "hello"],
  ] as const)(`makes one message of %s ${verifies("FP9")}`, (_what, reads, message) => {
    expect(messageOf(...reads)).toBe(message);
  });

  it("leaves keys alone", () => {
    const pasted = new PastedLines();
    for (const key of ["\u0003", "\u0004", "\u001b[A", "\u001b", "\t", "\r", "a\u0003\rb"]) {
      expect(pasted.take(Buffer.from(key))).toBe(key);
    }
  });

  it("gives back any text that is pasted in any pieces", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "ä", "🌴", "\r", "~", "[", "2") });
    fc.assert(
      fc.property(text, fc.array(fc.integer({ min: 1, max: 5 })), (pasted, sizes) => {
        const bytes = Buffer.from(`${open}${pasted}${close}\r`);
        const reads: Buffer[] = [];
        let at = open.length;
        reads.push(bytes.subarray(0, at));
        for (const size of sizes) {
          reads.push(bytes.subarray(at, at + size));
          at += size;
        }
        reads.push(bytes.subarray(at));
        expect(messageOf(...reads)).toBe(pasted.replaceAll("\r", "\n"));
      }),
    );
  });
});
