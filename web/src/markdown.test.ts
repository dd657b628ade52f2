import fc from "fast-check";
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, test } from "vitest";
import { Markdown } from "./markdown.tsx";

const render = (text: string) => renderToStaticMarkup(createElement(Markdown, { text }));

describe("Markdown", () => {
  test("shows HTML as text", () => {
    const markup = render('<img src=x onerror="alert(1)"> <script>alert(1)</script>');
    expect(markup).not.toMatch(/<img|<script/);
    expect(markup).toContain("&lt;img");
  });

  test("links only to http, https and mail", () => {
    expect(render("[a](https://example.org/b)")).toContain('<a href="https://example.org/b"');
    expect(render("[a](mailto:b@example.org)")).toContain('<a href="mailto:b@example.org"');
    for (const href of [
      "javascript:alert(1)",
      "JaVaScRiPt:alert(1)",
      "data:text/html,x",
      "vbscript:x",
      "//example.org",
    ]) {
      expect(render(`[a](${href})`)).toBe('<div class="markdown"><p>a</p></div>');
    }
  });

  test("loads no picture", () => expect(render("![a](https://example.org/b.png)")).not.toContain("<img"));

  test("renders what models write", () => {
    const markup = render("# Title\n\nSome **bold**, *soft* and `code`.\n\n- one\n- two\n  1. deep\n\n> said\n\n---");
    expect(markup).toBe(
      '<div class="markdown"><h2>Title</h2><p>Some <strong>bold</strong>, <em>soft</em> and <code>code</code>.</p>' +
        '<ul><li>one</li><li>two<ol start="1"><li>deep</li></ol></li></ul><blockquote><p>said</p></blockquote><hr/></div>',
    );
  });

  test("renders a table", () => {
    expect(render("| a | b |\n|---|:-:|\n| 1 | 2 |")).toContain("<tr><td>1</td><td>2</td></tr>");
  });
});

describe("Markdown that is not finished, or hostile", () => {
  test("keeps the code of a fence that is not closed yet", () => {
    expect(render("```ts\nconst a = 1;\n\n# not a heading")).toContain("<code>const a = 1;\n\n# not a heading</code>");
  });

  test("leaves a long rule in code as it is", () => {
    expect(render(`\`\`\`\n${"-".repeat(40)}\n\`\`\``)).toContain(`<code>${"-".repeat(40)}</code>`);
  });

  test("renders every text and loses no word of it", () => {
    const piece = fc.constantFrom(
      "word ",
      "\n",
      "\n\n",
      "- ",
      "1. ",
      "> ",
      "# ",
      "|",
      "---",
      "  ",
      "    ",
      "*",
      "`",
      "**",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const text = pieces.join("");
        const words = (all: string) => all.match(/word/g)?.length ?? 0;
        expect(words(render(text))).toBe(words(text));
      }),
    );
  });

  test.each([">".repeat(10_000), "> ".repeat(10_000), "- ".repeat(5_000), "1. ".repeat(5_000), "[".repeat(5_000)])(
    "bounds how deep it nests (%#)",
    (text) => {
      const deepest = render(`${text}word`).match(/<(?:blockquote|ul|ol)/g)?.length ?? 0;
      expect(deepest).toBeLessThanOrEqual(13);
    },
  );
});
