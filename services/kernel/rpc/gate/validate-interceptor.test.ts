import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const protos = join(import.meta.dirname, "../../../../proto");
const patterns = globSync("atoll/**/*.proto", { cwd: protos })
  .map((path) => readFileSync(join(protos, path), "utf8"))
  .flatMap((text) => [...text.matchAll(/\bpattern(?: =|:) "([^"]*)"/g)])
  .map(([, pattern = ""]) => pattern.replaceAll("\\\\", "\\"));

/**
 * Anchored; words and classes of characters one behind the other, by name (`\\p{L}`) too; bounded counts; at most the whole of
 * it optional.
 */
const part = String.raw`(?:[a-z]+_|\[(?:[^\]\\]|\\p\{[A-Z][a-z]?\})+\](?:\{\d+(?:,\d+)?\})?)`;
const simple = new RegExp(String.raw`^\^(?:${part}+|\(${part}+\)\?)\$$`);

it("has only patterns that node's engine and RE2 read alike, and that no text makes slow", () => {
  expect(patterns.length).toBeGreaterThan(50);
  expect(patterns.filter((pattern) => !simple.test(pattern))).toEqual([]);
});

it.each(["^(a+)+$", "a", "^[a-z]*$", "^[a-z]{1,}$", "^(?=a)$", "^([a-z]{1,9})*$", String.raw`^[\w]{1,3}$`])(
  "would notice %s",
  (pattern) => {
    expect(simple.test(pattern)).toBe(false);
  },
);
