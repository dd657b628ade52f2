import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { boundAgent, orderBindings, type ScopeBinding } from "./scope-bindings.ts";

const bind = (...patterns: string[]): ScopeBinding[] =>
  patterns.map((pattern) => ({ pattern: pattern.split(":"), agentId: pattern }));

describe("the agent of a scope", () => {
  it.each([
    ["group:telegram:42", "group:telegram:42"],
    ["group:telegram:43", "group:telegram:*"],
    ["group:slack:42", "group:*:42"],
    ["group:slack:43", "group:*"],
    ["thread:slack:room:1", "thread:slack:room:*"],
    ["thread:slack:hall:1", "thread:slack:*"],
    ["main", "*"],
    ["direct:telegram:42", "*"],
  ])("%s is that of %s", (scope, pattern) => {
    const bindings = orderBindings(
      bind(
        "*",
        "group:*",
        "group:*:42",
        "group:telegram:*",
        "group:telegram:42",
        "thread:slack:*",
        "thread:slack:room:*",
      ),
    );
    expect(boundAgent(scope.split(":"), bindings)).toBe(pattern);
  });

  it("is none when nothing fits: a pattern without `*` fits its own scope alone", () => {
    expect(boundAgent(["a", "b"], orderBindings(bind("a", "a:b:c", "a:c", "b:*", "*:b:*")))).toBeUndefined();
  });

  // Every scope of up to three parts over two words, so that what a pattern fits can be counted.
  const words = ["a", "b"];
  const scopes = words.flatMap((one) => [
    [one],
    ...words.flatMap((two) => [[one, two], ...words.map((three) => [one, two, three])]),
  ]);
  const pattern = fc.array(fc.constantFrom("a", "b", "*"), { minLength: 1, maxLength: 3 });
  const patterns = fc.uniqueArray(pattern, { maxLength: 8, selector: (parts) => parts.join(":") });
  const toBindings = (all: readonly string[][]): ScopeBinding[] => bind(...all.map((parts) => parts.join(":")));
  const fittedBy = (each: ScopeBinding) => scopes.filter((scope) => boundAgent(scope, [each]) !== undefined);

  it("is that of a pattern that fits, of which no other one is a special case", () => {
    fc.assert(
      fc.property(patterns, fc.constantFrom(...scopes), (all, scope) => {
        const bindings = orderBindings(toBindings(all));
        const agentId = boundAgent(scope, bindings);
        const fitting = bindings.filter((each) => fittedBy(each).includes(scope));
        const winner = fitting.find((each) => each.agentId === agentId);
        expect(winner === undefined).toBe(fitting.length === 0);
        if (winner === undefined) return;
        const its = new Set(fittedBy(winner));
        for (const other of fitting) {
          const others = fittedBy(other);
          const isSpecial = others.length < its.size && others.every((each) => its.has(each));
          expect(isSpecial, `${other.agentId} is a special case of ${winner.agentId}`).toBe(false);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("does not depend on the order in which the bindings are written", () => {
    fc.assert(
      fc.property(patterns, fc.constantFrom(...scopes), (all, scope) => {
        const [one, other] = [toBindings(all), toBindings(all.toReversed())].map(orderBindings);
        expect(boundAgent(scope, one ?? [])).toBe(boundAgent(scope, other ?? []));
      }),
    );
  });
});
