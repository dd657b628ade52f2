/** One for each pattern that the contracts have; none comes from a request. */
const patterns = new Map<string, RegExp>();

/** Node's own engine does in a tenth of a microsecond what RE2 in JavaScript does in ten. */
export function matchPattern(pattern: string, text: string): boolean {
  let compiled = patterns.get(pattern);
  if (compiled === undefined) {
    compiled = new RegExp(pattern, "u");
    patterns.set(pattern, compiled);
  }
  return compiled.test(text);
}
