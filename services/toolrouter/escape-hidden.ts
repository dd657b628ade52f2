/**
 * Shows what a reader would not see: a tool's name or description, or a line of its error output, may carry control
 * characters, bidi overrides or invisible text that hides an order from the person who approves it.
 */

// Control characters but tab and line feed; soft hyphen; Arabic letter mark; zero-width space, direction marks; line and
// paragraph separators; bidi embeddings, overrides and isolates; invisible operators; byte order mark; interlinear
// annotations; tag characters. Zero-width joiners stay: emoji and several scripts need them.
const hidden =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is what this is for.
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

/** Text with hidden characters written as `\u{202e}`; tabs and line feeds stay, lone surrogates become U+FFFD. */
export function escapeHidden(text: string): string {
  return text.toWellFormed().replace(hidden, escapeCharacter);
}

/** The same for a name: whitespace controls and backslashes too, so that two different names never look the same. */
export function escapeName(name: string): string {
  return escapeHidden(name.replaceAll("\\", "\\\\")).replace(/[\t\n]/g, escapeCharacter);
}

function escapeCharacter(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
