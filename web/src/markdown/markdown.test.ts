import fc from "fast-check";
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, test } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { Markdown } from "./markdown.tsx";
import { readBlock, splitText } from "./read-blocks.ts";

const marked = (text: string) => renderToStaticMarkup(createElement(Markdown, { text }));
/** Without what says the direction of text, which has a test of its own. */
const render = (text: string) => marked(text).replaceAll(' dir="auto"', "");

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

describe("Markdown as people expect it", () => {
  const line = (text: string) => render(text).replace(/^<div class="markdown"><p>(.*)<\/p><\/div>$/s, "$1");

  test.each([
    ["5~7 and 100~200", "5~7 and 100~200"],
    ["~10 min, ~20 min", "~10 min, ~20 min"],
    ["a ~b~ c", "a ~b~ c"],
    ["H~2~O", "H~2~O"],
    ["~~gone~~ stays", "<del>gone</del> stays"],
    ["a~~b~~c", "a<del>b</del>c"],
  ])(`strikes through between double tildes alone: %j ${verifies("FP5")}`, (text, expected) => {
    expect(line(text)).toBe(expected);
  });

  test.each([
    ["**粗体**文字", "<strong>粗体</strong>文字"],
    ["**粗体：**文字", "<strong>粗体：</strong>文字"],
    ["这是**“引用”**的文字", "这是<strong>“引用”</strong>的文字"],
    ["これは**重要です。**次に", "これは<strong>重要です。</strong>次に"],
    ["**한국어(조사)**를", "<strong>한국어(조사)</strong>를"],
    ["*强调：*文字", "<em>强调：</em>文字"],
    ["**`代码`**文字", "<strong><code>代码</code></strong>文字"],
    ["2 * 3 * 4 和 5*6*7个", "2 * 3 * 4 和 5<em>6</em>7个"],
    ["a ** b ** c", "a ** b ** c"],
  ])(`takes emphasis beside Chinese, Japanese and Korean: %j ${verifies("FP6")}`, (text, expected) => {
    expect(line(text)).toBe(expected);
  });

  test.each([
    ["AT&amp;T &lt;b&gt; &quot;x&quot;", "AT&amp;T &lt;b&gt; &quot;x&quot;"],
    ["a&nbsp;b &mdash; &#8212; &#x2014;", "a\u00a0b — — —"],
    ["&hellip; &euro; &ne; &CounterClockwiseContourIntegral;", "… € ≠ ∳"],
    ["&nosuch; &#0; &#xD800; & &;", "&amp;nosuch; � � &amp; &amp;;"],
    ["`&amp;` stays", "<code>&amp;amp;</code> stays"],
  ])(`shows character references as characters: %j ${verifies("FP6")}`, (text, expected) => {
    expect(line(text)).toBe(expected);
  });

  test.each([
    ["a<br>b<br/>c<BR />d", "a<br/>b<br/>c<br/>d"],
    ["x<sup>2</sup> and <b>bold *em*</b>", "x<sup>2</sup> and <b>bold <em>em</em></b>"],
    ["<b>never closed", "&lt;b&gt;never closed"],
    ["<b onclick=x>no</b>", "&lt;b onclick=x&gt;no&lt;/b&gt;"],
  ])(`takes line breaks and plain tags: %j ${verifies("FP6")}`, (text, expected) => expect(line(text)).toBe(expected));

  test("takes a line break in a table, where Markdown has none", () => {
    expect(render("| a |\n|---|\n| 1<br>2 |")).toContain("<td>1<br/>2</td>");
  });

  const hrefs = (text: string) => [...render(text).matchAll(/href="([^"]*)"/g)].map(([, href]) => href);

  test.each([
    ["见 https://example.org/a。下一句", ["https://example.org/a"]],
    ["（https://example.org/a）", ["https://example.org/a"]],
    ["https://example.org/a，https://example.org/b、", ["https://example.org/a", "https://example.org/b"]],
    ["访问https://example.org/a查看", ["https://example.org/a"]],
    ["https://zh.wikipedia.org/wiki/维基百科", ["https://zh.wikipedia.org/wiki/维基百科"]],
    ["见 www.example.org。", ["http://www.example.org"]],
    ["(https://example.org/a_(b)). And", ["https://example.org/a_(b)"]],
    ["[a](https://example.org/?a=1&amp;b=2)", ["https://example.org/?a=1&amp;b=2"]],
    ["https://example.org/?a=1&b=2 ", ["https://example.org/?a=1&amp;b=2"]],
  ])(`ends a link where people would: %j ${verifies("FP6")}`, (text, expected) =>
    expect(hrefs(text)).toEqual(expected),
  );

  test(`says of each piece of text that its own letters tell its direction ${verifies("FP8")}`, () => {
    const markup = marked("# عنوان\n\nשלום\n\n- ‏نص\n\n> اقتباس\n\n| ا |\n|---|\n| ب |");
    for (const tag of ["h2", "p", "li", "blockquote", "th", "td"]) {
      expect(markup.match(new RegExp(`<${tag}(?! dir="auto")[ >]`)), tag).toBeNull();
      expect(markup).toContain(`<${tag} dir="auto"`);
    }
  });
});

describe("an answer that grows", () => {
  const text =
    "# A\n\nOne [label] here.\n\n- x\n- y\n\n  z\n\n```ts\nconst a = 1;\n\n# b\n```\n\n| a |\n|---|\n| 1 |\n\nA\n===\n\n[label]: https://example.org\n\n> q\nlazy\n\nend";

  test("is split as it would be at once, wherever it is cut", () => {
    const whole = splitText(text).blocks;
    for (let step = 1; step <= 17; step++) {
      let split = splitText("");
      for (let at = step; at < text.length + step; at += step) split = splitText(text.slice(0, at), split);
      expect(split.blocks, `in steps of ${step}`).toEqual(whole);
      expect(split.links).toHaveProperty("label");
    }
  });

  test("is split as it would be at once, whatever it says", () => {
    const piece = fc.constantFrom(
      "w ",
      "\n",
      "\n\n",
      "- ",
      "1. ",
      "> ",
      "# ",
      "|",
      "---",
      "    ",
      "```\n",
      "<div>",
      "[a]: b",
      "\t",
      "\r\n",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        let split = splitText("");
        for (let n = 1; n <= pieces.length; n++) split = splitText(pieces.slice(0, n).join(""), split);
        const shown = ({ blocks }: ReturnType<typeof splitText>) =>
          blocks
            .map(({ raw }) => raw.trimEnd())
            .join("\n")
            .replace(/\n+/g, "\n");
        expect(shown(split)).toBe(shown(splitText(pieces.join(""))));
      }),
      { numRuns: 10_000 },
    );
  });
});

describe(`what costs too much ${verifies("E12")}`, () => {
  const nested = (depth: number, mark: string) =>
    Array.from({ length: depth }, (_, level) => `${" ".repeat(level * mark.length)}${mark}x`).join("\n");

  test.each<readonly [name: string, text: string]>([
    ["marks that never close", "*a_".repeat(20_000)],
    ["three marks", "***a** ".repeat(10_000)],
    ["tildes", "~~a ".repeat(20_000)],
    ["brackets", "[".repeat(50_000)],
    ["links", "[a](".repeat(20_000)],
    ["pictures", "![".repeat(20_000)],
    ["ticks", Array.from({ length: 2_000 }, (_, n) => "`".repeat((n % 50) + 1)).join("a")],
    ["angles", "<".repeat(50_000)],
    ["tags", "<a ".repeat(20_000)],
    ["an address that never ends", `${"a".repeat(60_000)}@`],
    ["400 nested lists", nested(400, "- ")],
    ["2 000 nested lists", nested(2_000, "- ")],
    ["400 nested numbered lists", nested(400, "1. ")],
    ["nested quotes", Array.from({ length: 400 }, (_, n) => `${">".repeat(n + 1)} x`).join("\n")],
    ["a wide table", `${"|".repeat(20_000)}\n${"|-".repeat(20_000)}|\n${"|x".repeat(20_000)}`],
    ["definitions", "[a]: <".repeat(10_000)],
    ["a megabyte of words", "word ".repeat(200_000)],
  ])("is shown all the same: %s", (_, text) => {
    const beganAt = performance.now();
    const { blocks, links } = splitText(text);
    for (const { raw, isPlain } of blocks) if (!isPlain) readBlock(raw, links);
    // What was cubic took minutes; a machine under load takes a second for what takes a tenth.
    expect(performance.now() - beganAt).toBeLessThan(5_000);
    const letters = (all: string) => all.replace(/[^a-z]/g, "").length;
    expect(letters(blocks.map(({ raw }) => raw).join(""))).toBe(letters(text));
  });

  test("costs its own block alone", () => {
    const markup = render(`**before**\n\n${"*a_".repeat(20_000)}\n\n**after**`);
    expect(markup).toMatch(/<strong>before<\/strong>.*<p class="plain">\*a_.*<strong>after<\/strong>/s);
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
