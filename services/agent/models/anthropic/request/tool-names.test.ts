import fc from "fast-check";
import { expect, it } from "vitest";
import { toApiName, toolNameReader } from "./tool-names.ts";

it("keeps an ordinary name readable", () => {
  expect(toApiName("filesystem.read_text_file")).toBe("filesystem__read_text_file");
});

const awkward = [
  "a.b__c",
  "a__b.c",
  "a_.b",
  "a._b",
  "a.b.c",
  "a.b/c",
  "ünï.cödé",
  "nodot",
  `s.${"x".repeat(200)}`,
  "t-a.b",
];

it("gives every tool a name of its own that the API takes, and finds it again", () => {
  const name = fc.oneof(fc.constantFrom(...awkward), fc.stringMatching(/^[ab_.-]{1,6}$/), fc.string({ minLength: 1 }));
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 30 }), (names) => {
      const read = toolNameReader(names.map((each) => ({ name: each })));
      const apiNames = names.map(toApiName);
      expect(new Set(apiNames).size).toBe(names.length);
      for (const apiName of apiNames) expect(apiName).toMatch(/^[a-zA-Z0-9_-]{1,128}$/);
      expect(apiNames.map(read)).toEqual(names);
    }),
  );
});
