import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson } from "./canonical-json.ts";
import { isRawNumber, parseExact, roundNumbers } from "./exact-json.ts";
import { formatDecimal } from "./format-decimal.ts";

const canonical = (text: string): string => canonicalJson(parseExact(text));

describe("exact JSON", () => {
  it.each([
    ["an id of 64 bits", '{"id":9223372036854775807}', '{"id":9223372036854775807}'],
    ["its neighbour", '{"id":9223372036854775806}', '{"id":9223372036854775806}'],
    ["an id of a messenger", '{"chat":-1001234567890123456}', '{"chat":-1001234567890123456}'],
    ["an id in a list", "[[12345678901234567890]]", "[[12345678901234567890]]"],
    ["an amount", '{"a":0.12345678901234567891}', '{"a":0.12345678901234567891}'],
    ["a number that no double reaches", "[1e400]", "[1e+400]"],
    ["a text of digits", '"12345678901234567890"', '"12345678901234567890"'],
    ["numbers with one value", "[1.0,100e-2,10E-1]", "[1,1,1]"],
    ["zero and its sign", "[-0,0.0,0e10]", "[0,0,0]"],
    ["a double in full", "[0.1000000000000000055511151231257827]", "[0.1000000000000000055511151231257827]"],
    [
      "members by UTF-16",
      '{"\\ud83d\\ude02":1,"\\ufb33":2,"1":3,"\\u0080":4}',
      '{"1":3,"\u0080":4,"\u{1f602}":1,"\ufb33":2}',
    ],
    ["what must be escaped", '["\\u001f\\/\\"\\u2028"]', '["\\u001f/\\"\u2028"]'],
  ])("keeps %s", (_name, text, expected) => {
    expect(canonical(text)).toBe(expected);
    expect(canonical(expected)).toBe(expected);
  });

  it("writes what a double holds as RFC 8785 does, whatever it is", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
        expect(canonical(String(number))).toBe(JSON.stringify(number));
      }),
      { numRuns: 2_000 },
    );
  });

  it("never makes two numbers one, nor one number two", () => {
    const digits = fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n });
    fc.assert(
      fc.property(digits, digits, fc.nat(30), (one, other, zeros) => {
        expect(canonical(`[${one}]`) === canonical(`[${other}]`)).toBe(one === other);
        expect(canonical(`[${one}.${"0".repeat(zeros + 1)}]`)).toBe(canonical(`[${one}]`));
        expect(canonical(`[${one}e-${zeros}]`)).toBe(canonical(`[${one * 10n ** 5n}e-${zeros + 5}]`));
      }),
      { numRuns: 2_000 },
    );
  });

  it("is what JSON.stringify writes, and what a check of ranges rounds", () => {
    const value = parseExact('{"id":12345678901234567890,"of":[1.5,"x",null]}');
    expect(JSON.stringify(value)).toBe('{"id":12345678901234567890,"of":[1.5,"x",null]}');
    expect(isRawNumber((value as { id: unknown }).id)).toBe(true);
    expect(roundNumbers(value)).toEqual({ id: 12345678901234567000, of: [1.5, "x", null] });
  });

  it("takes no object for a raw number that only looks like one", () => {
    const value = parseExact('{"rawJSON":"1"}');
    expect(isRawNumber(value)).toBe(false);
    expect(canonicalJson(value)).toBe('{"rawJSON":"1"}');
  });

  it("refuses what is no JSON, and an exponent without sense", () => {
    for (const text of ["", "{", "[1,]", "01", "1e", "NaN", "Infinity"])
      expect(() => parseExact(text)).toThrow(SyntaxError);
    expect(() => parseExact("[1e100000]")).toThrow(RangeError);
    expect(() => parseExact("[1e99999999999999999999]")).toThrow(RangeError);
    expect(formatDecimal("1e-99999")).toBe("1e-99999");
  });
});
