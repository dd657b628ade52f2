// Keeps: comments of JSON with comments are blanked, not cut out, so that every line and column stays where it was. Each
// character is looked at once, whatever the text.

/** What a comment may stand behind; `http://host` without quotes, which YAML allows between braces, is none. */
const before = /[\s{[\]},:"]/;

/**
 * The text with `//` and `/*` comments as blanks when it is JSON (the first thing that is neither blank nor comment opens a
 * map or a list); other text as it is.
 */
export function blankJsonComments(text: string): string {
  const pieces: string[] = [];
  let kept = 0;
  let isJson = false;
  for (let at = 0; at < text.length; ) {
    const character = text[at] as string;
    if (character === '"' && isJson) {
      at = endOfText(text, at);
      continue;
    }
    const end = character === "/" ? endOfComment(text, at) : undefined;
    if (end !== undefined) {
      pieces.push(text.slice(kept, at), text.slice(at, end).replace(/[^\n]/g, " "));
      kept = end;
      at = end;
      continue;
    }
    if (!isJson && /\S/.test(character)) {
      if (character !== "{" && character !== "[") return text;
      isJson = true;
    }
    at += 1;
  }
  return pieces.join("") + text.slice(kept);
}

/** Behind the closing quote, or where the line ends without one. */
function endOfText(text: string, opening: number): number {
  for (let at = opening + 1; at < text.length; at += 1) {
    const character = text[at];
    if (character === "\\") at += 1;
    else if (character === '"' || character === "\n") return at + 1;
  }
  return text.length;
}

/** Behind the comment that begins here; undefined when none does. One that is not closed goes on to the end. */
function endOfComment(text: string, at: number): number | undefined {
  const previous = text[at - 1];
  if (previous !== undefined && !before.test(previous)) return undefined;
  const next = text[at + 1];
  if (next === "*") {
    const end = text.indexOf("*/", at + 2);
    return end < 0 ? text.length : end + 2;
  }
  // `://` is an address, unless a blank or the line's end follows.
  if (next !== "/" || (previous === ":" && /[^\s/]/.test(text[at + 2] ?? "\n"))) return undefined;
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end;
}
