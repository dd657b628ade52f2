/**
 * Whether JSON can travel as google.protobuf.Struct to every reader.
 *
 * Keeps L7: nesting is bounded. Protobuf libraries stop at 100 nested messages, a level of JSON is up to three, and an
 * event wraps a few more around it. Protobuf's JSON form has no infinity, which JSON's `1e400` reads as.
 */
import type { JsonValue } from "@bufbuild/protobuf";

const maxJsonDepth = 32;

/** What is wrong, or undefined. Goes no deeper than the bound. */
export function findJsonProblem(value: JsonValue, depth = 0): string | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? undefined : "holds a number that is too large";
  if (value === null || typeof value !== "object") return undefined;
  if (depth >= maxJsonDepth) return `is nested more than ${maxJsonDepth} levels deep`;
  for (const member of Object.values(value)) {
    const problem = findJsonProblem(member, depth + 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
