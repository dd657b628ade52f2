/**
 * Writes characters of a program that need two bytes as escapes: V8 keeps the text of a module in memory, at two bytes a
 * character when one of them needs it. In what rolldown writes without comments they stand in literals alone, where the escape means
 * the same.
 */

const wide = /[^\0-\xff]/g;
/** `–` is 1 character, `\u2013` is 6. */
const growth = 5;

export interface MappedCode {
  readonly code: string;
  /** As source maps have them. */
  readonly mappings: string;
}

/** Columns behind an escape move, and the mappings with them. */
export function escapeWide({ code, mappings }: MappedCode): MappedCode {
  const lines = mappings.split(";");
  code.split("\n").forEach((line, index) => {
    const at = [...line.matchAll(wide)].map((match) => match.index);
    if (at.length > 0) lines[index] = moveColumns(lines[index] ?? "", at);
  });
  const escaped = (one: string): string => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return { code: code.replaceAll(wide, escaped), mappings: lines.join(";") };
}

/** The first number of a segment is how far it stands behind the one before it. */
function moveColumns(line: string, at: readonly number[]): string {
  let column = 0;
  let passed = 0;
  const segments = line.split(",").map((segment) => {
    const [step, rest] = readNumber(segment);
    column += step;
    const before = passed;
    while ((at[passed] ?? Number.POSITIVE_INFINITY) < column) passed++;
    return writeNumber(step + growth * (passed - before)) + rest;
  });
  return segments.join(",");
}

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Base64 VLQ: five bits a digit, the lowest first; the sixth says that more follow; the lowest of all is the sign. */
function readNumber(text: string): readonly [number: number, rest: string] {
  let value = 0;
  let length = 0;
  for (let more = true; more; length++) {
    const digit = digits.indexOf(text.charAt(length));
    value += (digit & 31) << (5 * length);
    more = digit >= 32;
  }
  return [value & 1 ? -(value >> 1) : value >> 1, text.slice(length)];
}

function writeNumber(number: number): string {
  let text = "";
  for (let left = number < 0 ? (-number << 1) | 1 : number << 1; ; left >>= 5) {
    if (left < 32) return text + digits.charAt(left);
    text += digits.charAt((left & 31) | 32);
  }
}
