/** Things that a sentence names: files, addresses, quoted words, numbers, `name=value` pairs. Pure and deterministic. */

export interface Mentions {
  /** Paths with an extension, such as `notes.md` or `docs/a.txt`. */
  readonly files: readonly string[];
  readonly folders: readonly string[];
  readonly urls: readonly string[];
  readonly quoted: readonly string[];
  readonly numbers: readonly number[];
  readonly pairs: ReadonlyMap<string, string>;
}

const url = /https?:\/\/[^\s"'<>)]+/g;
const file = /(?<![\w/.@-])(?:[\w-]+\/)*[\w-]+(?:\.[\w-]+)*\.[a-zA-Z][a-zA-Z0-9]{0,7}(?![\w/(-])/g;
const folder =
  /\b(?:folder|directory|dir)\s+(?:named |called )?["'`]?([\w./-]*[\w/-])|["'`]?([\w./-]*\w)\/?["'`]?\s+(?:folder|directory)\b/gi;
const quote = /"([^"]*)"|“([^”]*)”|`([^`]*)`|(?<!\w)'([^']*)'(?!\w)/g;
const number = /(?<![\w./-])-?\d+(?:\.\d+)?(?![\w/-])/g;
const pair = /\b([a-zA-Z_]\w*)\s*=\s*("[^"]*"|'[^']*'|[^\s,]+)/g;
/** Words that stand before "folder" without naming one. */
const noFolder = new Set(
  "the this that a an my your our which what each every any in of current working is".split(" "),
);

/** Characters that are looked at: some of the patterns take time with the square of the longest word (L7). */
const maxCharacters = 4_096;

/** `toolNames` are left out of the files: `filesystem.read` looks like one. */
export function findMentions(whole: string, toolNames: readonly string[] = []): Mentions {
  const text = whole.slice(0, maxCharacters);
  const withoutUrls = text.replace(url, " ");
  const folders = [...withoutUrls.matchAll(folder)].map((match) => match[1] ?? match[2] ?? "");
  return {
    files: unique(withoutUrls.match(file) ?? []).filter((name) => !toolNames.includes(name)),
    folders: unique(folders.filter((name) => name !== "" && !noFolder.has(name.toLowerCase()))),
    urls: unique(text.match(url) ?? []).map((address) => address.replace(/[.,;:!?]+$/, "")),
    quoted: [...text.matchAll(quote)].map((match) => match.slice(1).find((group) => group !== undefined) ?? ""),
    numbers: (withoutUrls.match(number) ?? []).map(Number),
    pairs: new Map(
      [...text.matchAll(pair)].map((match) => [match[1] ?? "", (match[2] ?? "").replace(/^["']|["']$/g, "")]),
    ),
  };
}

function unique(items: readonly string[]): string[] {
  return [...new Set(items)];
}
