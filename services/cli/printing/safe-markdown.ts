/**
 * Text of others inside a Markdown document of ours.
 *
 * Keeps: nothing that a person, a model or a tool said can end the place that it stands in, make a heading, a link or a
 * picture, or move what a terminal shows. Fences and code spans are CommonMark's: a fence ends only with as many
 * backticks as it began with.
 */
import { visibleLines } from "../../kernel/visible-text.ts";

/** A fenced block that its text can't end; `language` is a word of ours. */
export function fenced(text: string, language: string): string {
  const body = visibleLines(text.replace(/\r\n?/g, "\n"));
  const fence = "`".repeat(Math.max(3, longestRun(body) + 1));
  const end = body === "" || body.endsWith("\n") ? "" : "\n";
  return `${fence}${language}\n${body}${end}${fence}`;
}

/** A name on one line, as code. */
export function codeSpan(text: string): string {
  const line = oneLine(text);
  if (line === "") return "";
  const ticks = "`".repeat(longestRun(line) + 1);
  // A space of ours keeps a backtick of theirs from the border, and is not shown.
  const pad = /^[` ]|[` ]$/.test(line) ? " " : "";
  return `${ticks}${pad}${line}${pad}${ticks}`;
}

/** Words on one line, taken literally. */
export function literal(text: string): string {
  return oneLine(text).replace(/[\\`*_{}[\]()<>#+\-!|~&$=:@]/g, "\\$&");
}

/** The text up to a number of characters, with a mark that says how much is missing. */
export function cutAt(text: string, maxCharacters: number): string {
  const characters = Array.from(text.slice(0, 2 * maxCharacters + 2));
  if (characters.length <= maxCharacters) return text;
  const kept = characters.slice(0, maxCharacters).join("");
  return `${kept}\n… (${text.length - kept.length} more characters)`;
}

function oneLine(text: string): string {
  return visibleLines(text.replace(/\s+/gu, " ").trim());
}

function longestRun(text: string): number {
  let longest = 0;
  for (const [run] of text.matchAll(/`+/g)) longest = Math.max(longest, run.length);
  return longest;
}
