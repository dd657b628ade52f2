import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { visibleLines, visibleText } from "./visible-text.ts";

const cases: readonly (readonly [what: string, hidden: string, shown: string])[] = [
  ["escape", "\u001b[2J", "\\u001b[2J"],
  ["a C1 control", "\u009b2J", "\\u009b2J"],
  ["a carriage return", "a\rb", "a\\u000db"],
  ["delete", "a\u007f", "a\\u007f"],
  ["the Arabic letter mark", "a\u061cb", "a\\u061cb"],
  ["a zero-width space", "a\u200bb", "a\\u200bb"],
  ["a line separator", "a\u2028b", "a\\u2028b"],
  ["a paragraph separator", "a\u2029b", "a\\u2029b"],
  ["a next-line control", "a\u0085b", "a\\u0085b"],
  ["a bidi override", "a\u202eb", "a\\u202eb"],
  ["a bidi isolate", "a\u2066b\u2069", "a\\u2066b\\u2069"],
  ["a direction mark", "a\u200fb", "a\\u200fb"],
  ["a word joiner", "a\u2060b", "a\\u2060b"],
  ["a byte order mark inside", "a\ufeffb", "a\\ufeffb"],
  ["a soft hyphen", "a\u00adb", "a\\u00adb"],
  ["a combining grapheme joiner", "a\u034fb", "a\\u034fb"],
  ["a Hangul filler", "a\u3164b", "a\\u3164b"],
  ["an interlinear annotation", "\ufff9a\ufffb", "\\ufff9a\\ufffb"],
  ["tag characters", "a\u{e0041}\u{e007f}", "a\\udb40\\udc41\\udb40\\udc7f"],
  ["bytes in variation selectors", "😀\ufe01\ufe02\u{e0101}", "😀\ufe01\\ufe02\\udb40\\udd01"],
  ["a variation selector behind a space", " \ufe0f", " \\ufe0f"],
  ["bits in joiners", "a\u200d\u200c\u200d", "a\\u200d\\u200c\\u200d"],
  ["a lone surrogate", "a\ud800b", "a\\ud800b"],
];

describe("visible text", () => {
  it.each(cases)("shows %s", (_what, hidden, shown) => {
    expect(visibleText(hidden)).toBe(shown);
    expect(visibleLines(hidden)).toBe(shown);
  });

  it.each([
    ["a family", "👩‍👩‍👧‍👦 at home"],
    ["a skin tone and a profession", "👩🏽‍🚒"],
    ["a rainbow flag", "🏳️‍🌈"],
    ["a heart and a keycap", "❤️ 1️⃣ #️⃣ ™️"],
    ["Persian with a zero-width non-joiner", "می‌خواهم"],
    ["Devanagari with a joiner", "क्‍ष"],
    ["Hebrew and Arabic", "שלום עליכם – السلام عليكم"],
    ["Chinese, Japanese, Korean", "粗体文字 ひらがな 한국어"],
    ["an ideograph with its variation", "葛\u{e0100}"],
    ["Thai, Vietnamese, combining marks", "ภาษาไทย tiếng Việt e\u0301"],
  ])("leaves %s as it is", (_what, text) => {
    expect(visibleText(text)).toBe(text);
    expect(visibleLines(text)).toBe(text);
  });

  it("keeps line feeds and tabs where lines are wanted, and nowhere else", () => {
    expect(visibleLines("a\r\nb\n\tc\rd")).toBe("a\nb\n\tc\\u000dd");
    expect(visibleText("a\r\nb\tc")).toBe("a\\u000d\\u000ab\\u0009c");
  });

  it("knows what stood before a piece", () => {
    expect(visibleLines("\u200d👧", "👩")).toBe("\u200d👧");
    expect(visibleLines("\u200d👧", "a")).toBe("\\u200d👧");
    expect(visibleLines("\ufe0f", "❤")).toBe("\ufe0f");
  });

  it("leaves JSON the same JSON", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(JSON.parse(visibleText(JSON.stringify({ text })))).toEqual({ text });
      }),
    );
  });

  it("changes nothing when it is applied to its own result", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(visibleText(visibleText(text))).toBe(visibleText(text));
      }),
    );
  });
});
