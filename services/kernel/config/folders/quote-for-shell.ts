/** A text as one word of a shell, for advice that a person copies. */
export function quoteForShell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
