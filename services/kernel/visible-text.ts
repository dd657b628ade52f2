// Keeps: text from outside can't move a terminal's cursor, forge a line or turn its reading direction when it is shown.

// C0, DEL and C1 controls, line and paragraph separators, bidirectional controls.
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
const invisible = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** The text with every control character written as `\uXXXX`. */
export function visibleText(text: string): string {
  return text.replace(invisible, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The text cut to at most `maxBytes` of UTF-8, never inside a character, with a mark that says how much is missing. */
export function cutText(text: string, maxBytes: number): string {
  const bytes = Buffer.byteLength(text);
  if (bytes <= maxBytes) return text;
  const kept = new TextDecoder().decode(Buffer.from(text).subarray(0, maxBytes), { stream: true });
  return `${kept}…[${bytes - Buffer.byteLength(kept)} bytes cut]`;
}
