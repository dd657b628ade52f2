/**
 * Which agent answers a scope, when a key names none: the most specific pattern that fits decides.
 *
 * Keeps: of two patterns that fit one scope, the one that says more from the left wins: a word before `*`, and a longer
 * pattern before its beginning. Which one that is depends on nothing else, above all not on the order of the file. Pure.
 */
import { anyPart, type SessionScope } from "./session-key.ts";

export interface ScopeBinding {
  /** See parseScopePattern. */
  readonly pattern: SessionScope;
  readonly agentId: string;
}

/** The bindings in the order in which they are to be tried. */
export function orderBindings(bindings: readonly ScopeBinding[]): ScopeBinding[] {
  return bindings.toSorted((a, b) => compare(a.pattern, b.pattern));
}

/** The agent of the first binding that fits; undefined when none does. `bindings` are in order. */
export function boundAgent(scope: SessionScope, bindings: readonly ScopeBinding[]): string | undefined {
  return bindings.find(({ pattern }) => fits(scope, pattern))?.agentId;
}

/** `*` stands for one part, and at the end for all that follow. */
function fits(scope: SessionScope, pattern: SessionScope): boolean {
  const isLongEnough = pattern.length === scope.length || (pattern.length < scope.length && pattern.at(-1) === anyPart);
  return isLongEnough && pattern.every((part, index) => part === anyPart || part === scope[index]);
}

function compare(a: SessionScope, b: SessionScope): number {
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const rank = rankOf(a[index]) - rankOf(b[index]);
    if (rank !== 0) return rank;
    const [one = "", other = ""] = [a[index], b[index]];
    if (one !== other) return one < other ? -1 : 1;
  }
  return 0;
}

/** A word says more than `*`, and `*` more than nothing. */
function rankOf(part: string | undefined): number {
  if (part === undefined) return 2;
  return part === anyPart ? 1 : 0;
}
