import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { judgePattern, linearPattern } from "./linear-pattern.ts";

const texts = [
  "",
  "a",
  "aaaa!",
  "ab\n",
  "A1",
  "é",
  " ",
  "\u00a0",
  "\u2028",
  "foo@bar.example",
  "2026-11-29",
  "x-y_z",
  "[",
  "😀",
  "a.b",
  "\r",
];

describe("a pattern that a server writes", () => {
  it.each([
    "^(a+)+$",
    "^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,255}\\.[a-z]{2,63}$",
    "^\\d{4}-\\d{2}-\\d{2}$",
    "\\s",
    "^\\S*$",
    "^[\\s\\S]*$",
    "^[\\w-]+$",
    "^.$",
    "^\\u00e9$",
    "^[\\u00e0-\\u00ff]+$",
    "^(?<year>\\d+)",
    "a\\/b|\\.",
    "^[^]$",
    "^[[]$",
    "\\bfoo\\b",
    "^a?b*\\n$",
    "^(?:a|b)+?$",
    "^\\x41\\d",
    "x$",
  ])("%s means what it means in JavaScript", (pattern) => {
    const linear = linearPattern(pattern);
    const own = new RegExp(pattern, "u");
    expect(texts.map((text) => linear.test(text))).toEqual(texts.map((text) => own.test(text)));
  });

  it.each(["\\p{Letter}", "\\p{L}", "\\p{Script=Greek}", "\\p{Lu}", "[\\p{Nd}_]"])(
    "%s is known by its long name",
    (pattern) => {
      const own = new RegExp(pattern, "u");
      for (const text of ["α", "A", "1", "_", " "]) expect(linearPattern(pattern).test(text)).toBe(own.test(text));
    },
  );

  it.each(["(?=a)b", "(?!a)b", "(?<=a)b", "(a)\\1", "(", "[b-a]", "a{5000}", "*"])("%s is refused", (pattern) => {
    expect(judgePattern(pattern).kind).toBe("unusable");
  });

  it.each([
    "\\pL{1000}".repeat(100),
    "\\p{L}{1000}".repeat(90),
    "[^x]{1000}".repeat(100),
    "((((a{1,9}){1,9}){1,9}){1,9})",
    "(?:abcdefghijklmnopqrstuvwxyz0123456789){1000}",
    "a".repeat(2_000),
    `${"(".repeat(500)}a${"){9}".repeat(100)}`,
  ])("%s is too costly, or refused, without being compiled for long", (pattern) => {
    const beganMs = performance.now();
    expect(judgePattern(pattern).kind).toBe("unusable");
    expect(performance.now() - beganMs).toBeLessThan(2_000);
  });

  it.each(["^(a+)+$", "^(a|aa)+$", "^([a-zA-Z]+)*$", "(x+x+)+y", "^(.*a){12}$", "^(([a-z])+.)+[A-Z]([a-z])+$"])(
    "%s takes time that is linear in the text",
    (pattern) => {
      const linear = linearPattern(pattern);
      const beganMs = performance.now();
      linear.test(`${"a".repeat(50_000)}!`);
      // A backtracking engine needs longer than the universe has been there.
      expect(performance.now() - beganMs).toBeLessThan(10_000);
    },
  );

  it("of any kind is judged without throwing, and a usable one runs", () => {
    const anyPattern = fc.oneof(
      fc.string({ maxLength: 30 }),
      fc
        .array(
          fc.constantFrom(
            "(",
            ")",
            "[",
            "]",
            "a",
            "b-",
            "\\",
            "\\p{L}",
            "{2,9}",
            "{1000}",
            "*",
            "+",
            "?",
            "|",
            "^",
            "$",
            ".",
            "\\d",
            "(?:",
            "(?=",
          ),
          { maxLength: 20 },
        )
        .map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(anyPattern, fc.string({ maxLength: 40 }), (pattern, text) => {
        if (judgePattern(pattern).kind === "usable") expect(typeof linearPattern(pattern).test(text)).toBe("boolean");
      }),
      { numRuns: 2_000 },
    );
  });
});
