// Keeps: comments of JSON with comments are blanked, not cut out, so that every line and column stays where it was.

/**
 * The text with `//` and `/*` comments as blanks when it is JSON (its first character that counts opens a map or list);
 * other text as it is. A comment begins the text or stands behind a blank or one of `{[]},:"`: `http://host` without quotes,
 * which YAML allows between braces, is none.
 */
export function blankJsonComments(text: string): string {
  if (!/^\s*(?:\/\/[^\n]*\n\s*|\/\*[\s\S]*?\*\/\s*)*[{[]/.test(text)) return text;
  const pattern = /"(?:[^"\\\n]|\\.)*"|(?<=^|[\s{[\]},:"])(?:\/\/[^\n]*|\/\*[\s\S]*?\*\/)/g;
  // `://` is an address, unless a blank or the line's end follows.
  return text.replace(pattern, (found, offset: number) => {
    if (found.startsWith('"')) return found;
    if (text[offset - 1] === ":" && /^\/\/[^\s/]/.test(found)) return found;
    return found.replace(/[^\n]/g, " ");
  });
}
