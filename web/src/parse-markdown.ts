/**
 * The part of Markdown that models write, as a tree: headings, lists, quotes, fences, tables, rules, paragraphs. An
 * unclosed fence runs to the end, so that a streaming answer is readable at every moment. HTML is text.
 */

export type MarkdownBlock =
  | { readonly kind: "paragraph"; readonly text: string }
  | { readonly kind: "heading"; readonly level: number; readonly text: string }
  | { readonly kind: "code"; readonly language: string; readonly text: string }
  | { readonly kind: "list"; readonly start: number | undefined; readonly items: readonly (readonly MarkdownBlock[])[] }
  | { readonly kind: "quote"; readonly blocks: readonly MarkdownBlock[] }
  | { readonly kind: "table"; readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] }
  | { readonly kind: "rule" };

/** Quotes and lists nest at most this deep; deeper ones stay text. Bounds the recursion (L7). */
const maxDepth = 12;

const fencePattern = /^\s{0,3}(`{3,}|~{3,})\s*([^`]*?)\s*$/;
const headingPattern = /^(#{1,6})\s+(.*?)\s*#*$/;
const itemPattern = /^(\s{0,3})([-*+]|\d{1,9}[.)])\s+(.*)$/;
const rulePattern = /^\s{0,3}([-*_])(\s*\1){2,}\s*$/;
const tableRulePattern = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

export function parseMarkdown(text: string, depth = 0): MarkdownBlock[] {
  const lines = text.split("\n");
  const blocks: MarkdownBlock[] = [];
  const canNest = depth < maxDepth;
  let at = 0;
  const lineAt = (index: number) => lines[index] ?? "";
  /** Takes lines for as long as the test accepts them. */
  const takeWhile = (isWanted: (line: string) => boolean): string[] => {
    const from = at;
    while (at < lines.length && isWanted(lineAt(at))) at++;
    return lines.slice(from, at);
  };

  while (at < lines.length) {
    const line = lineAt(at);
    const fence = fencePattern.exec(line);
    const heading = headingPattern.exec(line);
    const item = canNest && !rulePattern.test(line) ? itemPattern.exec(line) : null;
    if (line.trim() === "") {
      at++;
    } else if (fence) {
      at++;
      const [, mark = "```", language = ""] = fence;
      const code = takeWhile((next) => !isClosing(next, mark));
      at++;
      blocks.push({ kind: "code", language, text: code.join("\n") });
    } else if (heading) {
      at++;
      blocks.push({ kind: "heading", level: heading[1]?.length ?? 1, text: heading[2] ?? "" });
    } else if (rulePattern.test(line)) {
      at++;
      blocks.push({ kind: "rule" });
    } else if (canNest && line.startsWith(">")) {
      const quoted = takeWhile((next) => next.startsWith(">")).map((next) => next.replace(/^> ?/, ""));
      blocks.push({ kind: "quote", blocks: parseMarkdown(quoted.join("\n"), depth + 1) });
    } else if (item) {
      const isOrdered = /\d/.test(item[2] ?? "");
      const items: MarkdownBlock[][] = [];
      for (let next = itemPattern.exec(lineAt(at)); next; next = itemPattern.exec(lineAt(at))) {
        if (/\d/.test(next[2] ?? "") !== isOrdered || rulePattern.test(lineAt(at))) break;
        const [whole, indent = "", mark = "", first = ""] = next;
        const width = whole.length - first.length;
        at++;
        const isContinued = (more: string) =>
          more.trim() === "" || indentOf(more) >= indent.length + Math.min(width, 2);
        const rest = takeWhile(isContinued);
        while (rest.at(-1)?.trim() === "") rest.pop();
        const body = [
          first,
          ...rest.map((more) => more.slice(Math.min(indentOf(more), indent.length + mark.length + 1))),
        ];
        items.push(parseMarkdown(body.join("\n"), depth + 1));
      }
      blocks.push({ kind: "list", start: isOrdered ? Number.parseInt(item[2] ?? "1", 10) : undefined, items });
    } else if (line.includes("|") && tableRulePattern.test(lineAt(at + 1)) && lineAt(at + 1).includes("-")) {
      const head = cellsOf(line);
      at += 2;
      blocks.push({ kind: "table", head, rows: takeWhile((next) => next.includes("|")).map(cellsOf) });
    } else {
      at++;
      const rest = takeWhile((next) => !endsParagraph(next));
      blocks.push({ kind: "paragraph", text: [line, ...rest].join("\n") });
    }
  }
  return blocks;
}

/** Whether a line consists of the fence's mark, at least as long, and nothing else. */
function isClosing(line: string, mark: string): boolean {
  const text = line.trim();
  return text.length >= mark.length && text === mark.charAt(0).repeat(text.length);
}

function endsParagraph(line: string): boolean {
  return (
    line.trim() === "" ||
    line.startsWith(">") ||
    [fencePattern, headingPattern, itemPattern, rulePattern].some((pattern) => pattern.test(line))
  );
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}

function cellsOf(line: string): string[] {
  return line
    .trim()
    .replace(/^\||\|$/g, "")
    .split("|")
    .map((cell) => cell.trim());
}
