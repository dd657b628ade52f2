import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { indentJson, previewJson } from "./show-json.ts";

describe("JSON for people", () => {
  test("is indented as JSON.stringify does it, whatever it is", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(indentJson(JSON.stringify(value))).toBe(JSON.stringify(value, null, 2));
      }),
    );
  });

  test("keeps the digits of numbers", () => {
    expect(indentJson('{"id":9223372036854775807}')).toBe('{\n  "id": 9223372036854775807\n}');
    expect(previewJson('{"id":9223372036854775807,"of":[-1001234567890123456]}', 99)).toBe(
      "id: 9223372036854775807, of: [-1001234567890123456]",
    );
  });

  test("is one line of what a call was given", () => {
    expect(previewJson('{"path":"a \\"b\\", c","deep":{"x":[1,{}]},"on":true}', 99)).toBe(
      'a "b", c, deep: {"x":[1,{}]}, on: true',
    );
    expect(previewJson("{}", 99)).toBe("");
    expect(previewJson('{"text":"abcdef"}', 3)).toBe("abc");
  });

  test("is left alone when it is none", () => {
    for (const text of ["", "{", "say hello"]) expect([indentJson(text), previewJson(text, 99)]).toEqual([text, text]);
  });
});
