// Keeps: text from outside can't move a terminal's cursor, forge a line or turn its reading direction when it is shown.
import { replaceHidden } from "./hidden-characters.ts";

/** The text on one line: every hidden character, line breaks and tabs too, written as `\uXXXX`; JSON stays the same JSON. */
export function visibleText(text: string): string {
  return replaceHidden(text, escapeUnits);
}

/** The same, but line feeds and tabs stay; a CRLF is a line feed. `before`: what was shown right before, if anything. */
export function visibleLines(text: string, before = ""): string {
  const show = (character: string): string =>
    character === "\n" || character === "\t" ? character : escapeUnits(character);
  return replaceHidden(text.replaceAll("\r\n", "\n"), show, before);
}

/** `\uXXXX` for each UTF-16 code unit, as JSON has it. */
function escapeUnits(character: string): string {
  let escaped = "";
  for (let at = 0; at < character.length; at += 1) {
    escaped += `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`;
  }
  return escaped;
}

/** The text cut to at most `maxBytes` of UTF-8, never inside a character, with a mark that says how much is missing. */
export function cutText(text: string, maxBytes: number): string {
  const bytes = Buffer.byteLength(text);
  if (bytes <= maxBytes) return text;
  const kept = new TextDecoder().decode(Buffer.from(text).subarray(0, maxBytes), { stream: true });
  return `${kept}…[${bytes - Buffer.byteLength(kept)} bytes cut]`;
}
