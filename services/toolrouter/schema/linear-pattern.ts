/**
 * Regular expressions that servers write, run by an engine whose time is linear in the text. The only door to re2js (L8).
 *
 * V8's own engine backtracks: `^(a+)+$` and thirty letters stop a process for good. RE2 has no look-around and no back
 * references, because nobody knows how to run those in linear time.
 * Keeps L7: a pattern has at most 1 024 characters and about 3 000 instructions; 32 compiled ones are kept, each with at
 * most 8 MiB of states; one that was let go is compiled again when it is needed (at most some 50 ms).
 */
import { RE2JS } from "re2js";
import { translatePattern } from "./translate-pattern.ts";

const maxPatternLength = 1_024;
/** As `translatePattern` counts. */
const maxPatternSize = 3_000;
const maxCompiled = 32;

/** What a schema's check calls. */
export interface LinearPattern {
  test(text: string): boolean;
  /** Unlike for unlike patterns: ajv takes it for the identity. */
  toString(): string;
}

export type JudgedPattern =
  /** `size` grows with the time that a character of a text takes. */
  { readonly kind: "usable"; readonly size: number } | { readonly kind: "unusable"; readonly problem: string };

const compiled = new Map<string, RE2JS>();

/** Whether a pattern can be run. */
export function judgePattern(pattern: string): JudgedPattern {
  if (pattern.length > maxPatternLength) {
    return { kind: "unusable", problem: `is longer than ${maxPatternLength} characters` };
  }
  const { size } = translatePattern(pattern);
  if (size > maxPatternSize) return { kind: "unusable", problem: "is too costly to run" };
  try {
    compile(pattern);
    return { kind: "usable", size };
  } catch (error) {
    const problem = error instanceof Error ? error.message.replace(/^error parsing regexp: /, "") : String(error);
    return { kind: "unusable", problem: `can't run in linear time or is wrong (${problem})` };
  }
}

/** A pattern that `judgePattern` found usable; throws otherwise. */
export function linearPattern(pattern: string): LinearPattern {
  const { kind } = judgePattern(pattern);
  if (kind === "unusable") throw new Error(`the pattern ${JSON.stringify(pattern)} can't be used`);
  return { test: (text) => compile(pattern).test(text), toString: () => pattern };
}

function compile(pattern: string): RE2JS {
  const found = compiled.get(pattern) ?? RE2JS.compile(RE2JS.translateRegExp(translatePattern(pattern).source));
  compiled.delete(pattern);
  const oldest = compiled.keys().next();
  if (compiled.size >= maxCompiled && !oldest.done) compiled.delete(oldest.value);
  compiled.set(pattern, found);
  return found;
}
