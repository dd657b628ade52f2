// Keeps: a command line in one text is taken apart as a shell does, without being one: nothing is run, expanded or joined.

export type Words = { readonly words: readonly string[] } | { readonly problem: string };

/** What only a shell can do, as a word of its own outside of quotes. */
const shellWord = /^(?:\d?>{1,2}(?:&\d)?|<|\|{1,2}|&{1,2}|;)$|`|\$\(/;

/** Splits at blanks; '…', "…" and \ keep what they hold together. */
export function splitWords(text: string): Words {
  const words: string[] = [];
  let word: string | undefined;
  let isQuoted = false;
  let needsShell = false;
  const endWord = (): void => {
    if (word !== undefined) words.push(word);
    needsShell ||= word !== undefined && !isQuoted && shellWord.test(word);
    word = undefined;
    isQuoted = false;
  };
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] as string;
    if (character === "'" || character === '"') {
      const end = closingQuote(text, at);
      if (end < 0) return { problem: `a ${character} without its partner` };
      const inside = text.slice(at + 1, end);
      word = (word ?? "") + (character === '"' ? inside.replace(/\\(["\\$`])/g, "$1") : inside);
      isQuoted = true;
      at = end;
    } else if (character === "\\" && at + 1 < text.length && /[\s"'\\$]/.test(text[at + 1] as string)) {
      at += 1;
      word = (word ?? "") + text[at];
    } else if (/\s/.test(character)) {
      endWord();
    } else word = (word ?? "") + character;
  }
  endWord();
  return needsShell ? { problem: "what only a shell can do" } : { words };
}

function closingQuote(text: string, opening: number): number {
  const quote = text[opening] as string;
  for (let at = opening + 1; at < text.length; at += 1) {
    if (quote === '"' && text[at] === "\\") at += 1;
    else if (text[at] === quote) return at;
  }
  return -1;
}
