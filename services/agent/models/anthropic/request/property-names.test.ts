import type { JsonObject } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { verifies } from "../../../../../test/requirements.ts";
import { validateTools } from "../../../../../test/support/fake-anthropic/requests/validate-tools.ts";
import { legalPropertyNames } from "./property-names.ts";

const object = (properties: JsonObject, more: JsonObject = {}): JsonObject => ({ type: "object", properties, ...more });
const isTaken = (schema: JsonObject) => validateTools([{ name: "t", input_schema: schema }]) === undefined;
const aliasOf = (name: string) =>
  Object.keys(legalPropertyNames(object({ [name]: {} })).schema["properties"] ?? {})[0] ?? "";

describe(`names of parameters ${verifies("FT2")}`, () => {
  it("that are legal stay, and so does the schema", () => {
    const schema = object({ a: {}, "b.c-d_E9": { default: { "x y": 1 } } }, { required: ["a"] });
    expect(legalPropertyNames(schema)).toMatchObject({ schema, changed: false });
    expect(legalPropertyNames(schema).schema).toBe(schema);
  });

  it.each([
    "StartTime>",
    "$filter",
    "items[]",
    "two words",
    "Größe",
    "名前",
    "",
    "k".repeat(65),
    "a/b~c",
    "\u0000",
    "🏝",
  ])("such as %j become legal, stable and readable, and say the real one", (name) => {
    const schema = object({ [name]: { type: "string", description: "When." }, other: {} }, { required: [name] });
    const { schema: legal, fromApi, toApi } = legalPropertyNames(schema);
    expect(isTaken(schema)).toBe(false);
    expect(isTaken(legal)).toBe(true);
    const alias = aliasOf(name);
    expect(legal).toEqual(
      object(
        {
          [alias]: { type: "string", description: `The tool calls this parameter ${JSON.stringify(name)}. When.` },
          other: {},
        },
        { required: [alias] },
      ),
    );
    expect(fromApi({ [alias]: 1, other: 2 })).toEqual({ [name]: 1, other: 2 });
    expect(toApi({ [name]: 1, other: 2 })).toEqual({ [alias]: 1, other: 2 });
  });

  it("are renamed wherever a schema names one", () => {
    const inner = object(
      { "a b": true, c$: false },
      { required: ["a b"], additionalProperties: object({ "d e": {} }) },
    );
    const schema = object(
      {
        list: { type: "array", items: inner, prefixItems: [inner] },
        ref: { $ref: "#/properties/x%20y/properties/a~1b" },
        "x y": object({ "a/b": {} }),
      },
      {
        $defs: { "any key": object({ "f g": {} }) },
        if: object({ "h i": { const: { "h i": 1 } } }),
        // biome-ignore lint/suspicious/noThenProperty: the keyword's name
        then: { anyOf: [object({ "j k": { enum: [{ "j k": 2 }] } })], not: object({ "l m": {} }) },
        else: { oneOf: [{ allOf: [object({ "n o": { default: { "n o": [{ "n o": 3 }] } } })] }] },
        dependentRequired: { "x y": ["a b"] },
        dependentSchemas: { "p q": object({ "r s": {} }) },
        dependencies: { "x y": ["a b"], list: object({ "t u": {} }) },
        patternProperties: { "^v w": object({ "x1 y1": {} }) },
        propertyNames: { enum: ["x y", "list"] },
        examples: [{ "x y": {} }],
      },
    );
    const { schema: legal } = legalPropertyNames(schema);
    expect(isTaken(legal)).toBe(true);
    const text = JSON.stringify(legal, (key, value) => (key === "description" ? undefined : value));
    const names = "a b|c$|d e|x y|a/b|f g|h i|j k|l m|n o|p q|r s|t u|x1 y1".split("|");
    for (const name of names) expect(text, name).not.toContain(JSON.stringify(name));
    for (const name of names) expect(text, name).toContain(JSON.stringify(aliasOf(name)));
    expect(legal).toMatchObject({
      properties: { ref: { $ref: `#/properties/${aliasOf("x y")}/properties/${aliasOf("a/b")}` } },
      patternProperties: { "^v w": {} },
      propertyNames: { enum: [aliasOf("x y"), "list"] },
      dependentRequired: { [aliasOf("x y")]: [aliasOf("a b")] },
    });
  });

  it("never meet the name of another parameter", () => {
    const taken = aliasOf("a b");
    const { schema, fromApi } = legalPropertyNames(object({ "a b": {}, [taken]: {} }));
    const [first = "", second = ""] = Object.keys(schema["properties"] ?? {});
    expect([first === taken, second]).toEqual([false, taken]);
    expect(fromApi({ [first]: 1, [second]: 2 })).toEqual({ "a b": 1, [taken]: 2 });
  });

  it("are legal and come back, whatever they are", () => {
    const name = fc.oneof(
      fc.string({ unit: "binary", maxLength: 80 }),
      fc.constantFrom("__proto__", "constructor", "a b", "a_b"),
    );
    const schema = fc.uniqueArray(name, { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(schema, (names) => {
        const nested = Object.fromEntries(names.map((each) => [each, object(Object.fromEntries([[each, {}]]))]));
        const { schema: legal, toApi, fromApi } = legalPropertyNames(object(nested, { required: names }));
        const args = Object.fromEntries(names.map((each) => [each, [Object.fromEntries([[each, each]])]]));
        expect(Object.keys(toApi(args)).every((key) => /^[a-zA-Z0-9_.-]{1,64}$/.test(key))).toBe(true);
        expect(new Set(Object.keys(legal["properties"] ?? {})).size).toBe(names.length);
        expect(legal["required"]).toEqual(Object.keys(toApi(args)));
        expect(fromApi(toApi(args))).toEqual(args);
      }),
    );
  });
});
