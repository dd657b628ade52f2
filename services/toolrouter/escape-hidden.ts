/**
 * Shows what a reader would not see: a tool's name or description, or a line of its error output, may carry control
 * characters, bidi overrides or invisible text that hides an order from the person who approves it.
 */
import { replaceHidden } from "../kernel/hidden-characters.ts";

/** Text with hidden characters written as `\u{202e}`; tabs and line feeds stay, lone surrogates become U+FFFD. */
export function escapeHidden(text: string): string {
  return replaceHidden(text.toWellFormed(), (character) =>
    character === "\t" || character === "\n" ? character : escapeCharacter(character),
  );
}

/** The same for a name: whitespace controls and backslashes too, so that two different names never look the same. */
export function escapeName(name: string): string {
  return escapeHidden(name.replaceAll("\\", "\\\\")).replace(/[\t\n]/g, escapeCharacter);
}

function escapeCharacter(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
