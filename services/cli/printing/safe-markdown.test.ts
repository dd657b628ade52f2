import fc from "fast-check";
import { lexer, type Token } from "marked";
import { describe, expect, it } from "vitest";
import { codeSpan, cutAt, fenced, literal } from "./safe-markdown.ts";

/** Text that would like to get out. */
const hostile = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc
    .array(
      fc.constantFrom(
        "`",
        "``",
        "```",
        "````",
        "~~~",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        " ",
        "    ",
        "# ",
        "> ",
        "- ",
        "1. ",
        "<!--",
        "-->",
        "<script>",
        "</a>",
        "![](",
        ")",
        "[x]:",
        "[x](",
        "http://a.b",
        "_",
        "*",
        "**",
        "\\",
        "|",
        "&lt;",
        "\u202e",
        "\u001b[2J",
        "text",
      ),
      { maxLength: 12 },
    )
    .map((parts) => parts.join("")),
);

const kindsOf = (tokens: readonly Token[]) => tokens.map(({ type }) => type).filter((type) => type !== "space");

function inlineKinds(markdown: string): string[] {
  const [paragraph, ...others] = lexer(markdown).filter(({ type }) => type !== "space");
  expect(others).toEqual([]);
  expect(paragraph?.type).toBe("paragraph");
  return kindsOf((paragraph as { tokens?: Token[] }).tokens ?? []);
}

describe("words of others in a document of ours", () => {
  it("that are fenced stay in their fence, whatever they are", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const tokens = lexer(`before\n\n${fenced(text, "text")}\n\nafter`);
        expect(kindsOf(tokens)).toEqual(["paragraph", "code", "paragraph"]);
        const [, code] = tokens.filter(({ type }) => type !== "space");
        expect(code).toMatchObject({ lang: "text" });
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
        expect(code?.raw).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
      }),
      { numRuns: 2_000 },
    );
  });

  it("keep their lines and their backticks in a fence", () => {
    expect(fenced("a\r\n```\nb", "text")).toBe("````text\na\n```\nb\n````");
    expect(fenced("line\n", "json")).toBe("```json\nline\n```");
    expect(fenced("", "text")).toBe("```text\n```");
    // A megabyte of them is no more trouble than one.
    expect(fenced("`a".repeat(500_000), "text").slice(0, 8)).toBe("```text\n");
  });

  it("are one span of code as a name, on one line", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const span = codeSpan(text);
        if (span === "") return;
        expect(inlineKinds(`a ${span} b`)).toEqual(["text", "codespan", "text"]);
      }),
      { numRuns: 2_000 },
    );
    expect(codeSpan("a`b")).toBe("``a`b``");
    expect(codeSpan("`")).toBe("`` ` ``");
    expect(codeSpan(" \n ")).toBe("");
  });

  it("mean nothing but themselves when they are taken literally", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const kinds = inlineKinds(`a ${literal(text)} b`);
        expect(kinds.filter((kind) => kind !== "text" && kind !== "escape")).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
    expect(literal("see [x](http://a.b)\n# no")).toBe("see \\[x\\]\\(http\\://a.b\\) \\# no");
  });

  it("are cut between characters, and say how much is missing", () => {
    expect(cutAt("abc", 3)).toBe("abc");
    expect(cutAt("abcd", 3)).toBe("abc\n… (1 more characters)");
    expect(cutAt("🌴🌴🌴", 2)).toBe("🌴🌴\n… (2 more characters)");
  });
});
