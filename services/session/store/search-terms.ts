/**
 * Reads what a person typed to search for. Every string means something: there is no syntax that could be wrong.
 *
 * Words and "quoted phrases" must all be there. The last word is taken as the beginning of one, because it may still be
 * typed; a phrase that is closed is not.
 */

export interface SearchTerm {
  /** Words that follow one another; nearly always one. Never empty, and without quotes and NUL. */
  readonly words: string;
  /** The last of them is the beginning of a word. */
  readonly isPrefix: boolean;
}

/** Empty when nothing is there to look for. */
export function readSearchTerms(query: string): SearchTerm[] {
  const found = [...query.replaceAll("\0", " ").matchAll(/"(?<phrase>[^"]*)(?<close>"?)|(?<word>[^\s"]+)/gu)];
  return found.flatMap(({ groups }, index) => {
    const words = (groups?.word ?? groups?.phrase ?? "").trim();
    return words === "" ? [] : [{ words, isPrefix: index === found.length - 1 && groups?.close !== '"' }];
  });
}
