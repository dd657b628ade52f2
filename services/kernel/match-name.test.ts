import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { matchesName } from "./match-name.ts";

describe("a pattern for names", () => {
  it.each([
    ["filesystem.*", "filesystem.read", true],
    ["filesystem.*", "filesystem2.read", false],
    ["*.read_*", "filesystem.read_file", true],
    ["*.read_*", "filesystem.write_file", false],
    ["*", "anything.at_all", true],
    ["a.b", "a.b", true],
    ["a.b", "a.bc", false],
    ["a*a", "a", false],
    ["a.*x*x", "a.x", false],
    ["a.*x*x", "a.xx", true],
    ["", "a.b", false],
    ["a.b+", "a.bb", false],
  ])("%s and the name %s match: %s", (pattern, name, isMatch) => {
    expect(matchesName(pattern, name)).toBe(isMatch);
  });

  it("means what the regular expression with `.*` in its place means", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", ".", "\n"), maxLength: 8 });
    const pattern = fc.array(fc.constantFrom("a", "b", ".", "*"), { maxLength: 8 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(pattern, text, (written, name) => {
        const expression = new RegExp(`^${written.split("*").map(RegExp.escape).join(".*")}$`, "s");
        expect(matchesName(written, name)).toBe(expression.test(name));
      }),
      { numRuns: 2_000 },
    );
  });
});
