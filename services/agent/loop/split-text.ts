/** A long text in pieces that one event holds; none splits a code point. */

/** At most 64 KiB of UTF-8, whatever the characters. */
const longestPieceChars = 21_840;

export function* splitText(text: string): Generator<string> {
  for (let at = 0; at < text.length; ) {
    let end = Math.min(text.length, at + longestPieceChars);
    if (end < text.length && endsInHalf(text, end)) end -= 1;
    yield text.slice(at, end);
    at = end;
  }
}

/** Whether the text up to `end` ends in the first half of a surrogate pair. */
export function endsInHalf(text: string, end = text.length): boolean {
  const code = text.charCodeAt(end - 1);
  return code >= 0xd800 && code <= 0xdbff;
}
