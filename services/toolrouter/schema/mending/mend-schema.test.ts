import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { compileSchema } from "../checking/compile-schema.ts";
import { mendSchema } from "./mend-schema.ts";
import { mended } from "./mended-schema.fixture.ts";

/** The schema of a property that is written so. */
function property(written: unknown): JsonValue | undefined {
  const { properties } = mended({ type: "object", properties: { p: written } }).schema as {
    properties: Record<string, JsonValue>;
  };
  return properties.p;
}

function fits(raw: unknown, args: JsonObject): boolean {
  const compiled = compileSchema(mended(raw).schema);
  if (compiled.kind === "broken") throw new Error(compiled.problem);
  return compiled.check(args).kind === "valid";
}

describe("a schema of an older draft, or of another habit", () => {
  it.each<[string, unknown, JsonValue]>([
    ["true", true, {}],
    ["false", false, { not: {} }],
    ["null", null, {}],
    ["no type", { description: "d" }, { description: "d" }],
    ["a type's name", "string", { type: "string" }],
    [
      "draft 4's exclusiveMinimum",
      { type: "number", minimum: 5, exclusiveMinimum: true },
      { type: "number", exclusiveMinimum: 5 },
    ],
    ["draft 4's exclusiveMaximum", { maximum: 5, exclusiveMaximum: false }, { maximum: 5 }],
    ["an exclusive limit without a limit", { exclusiveMinimum: true }, {}],
    ["a list of items", { items: [{ type: "string" }, true] }, { prefixItems: [{ type: "string" }, {}] }],
    ["additionalItems", { items: [{}], additionalItems: false }, { prefixItems: [{}], items: false }],
    ["additionalItems that say nothing", { items: {}, additionalItems: false }, { items: {} }],
    [
      "dependencies of both kinds",
      { dependencies: { a: ["b"], c: { minProperties: 2 } } },
      { dependentRequired: { a: ["b"] }, dependentSchemas: { c: { minProperties: 2 } } },
    ],
    ["a dependency by name", { dependencies: { a: "b" } }, { dependentRequired: { a: ["b"] } }],
    ["id", { id: "http://x", type: "string" }, { type: "string" }],
    [
      "$id and $schema",
      { $id: "http://x", $schema: "http://json-schema.org/draft-04/schema#", type: "null" },
      { type: "null" },
    ],
    ["type int", { type: "int" }, { type: "integer" }],
    ["type float", { type: "float" }, { type: "number" }],
    ["type str", { type: "str" }, { type: "string" }],
    ["type Boolean", { type: "Boolean" }, { type: "boolean" }],
    ["type any", { type: "any" }, {}],
    ["a list of types with null", { type: ["string", null] }, { type: ["string", "null"] }],
    ["a list with one type", { type: ["string"] }, { type: "string" }],
    ["a null type", { type: null, minimum: null }, {}],
    ["nullable", { type: "string", nullable: true }, { type: ["string", "null"] }],
    ["a nullable enum", { enum: ["a"], nullable: true }, { enum: ["a", null] }],
    ["not nullable", { type: "string", nullable: false }, { type: "string" }],
    ["divisibleBy", { divisibleBy: 2 }, { multipleOf: 2 }],
    ["extends", { extends: { type: "string" } }, { allOf: [{ type: "string" }] }],
    ["required: null", { properties: {}, required: null }, { properties: {} }],
    ["required by name", { required: "a" }, { required: ["a"] }],
    ["required twice", { required: ["a", "a"] }, { required: ["a"] }],
    ["properties as an empty list", { properties: [] }, { properties: {} }],
    ["a limit as text", { maxLength: "10" }, { maxLength: 10 }],
    ["a null alternative", { anyOf: [{ type: "string" }, null] }, { anyOf: [{ type: "string" }, { type: "null" }] }],
    ["one alternative without a list", { anyOf: { type: "string" } }, { anyOf: [{ type: "string" }] }],
    ["no alternatives", { anyOf: [], allOf: [], oneOf: [] }, {}],
    ["an unknown format", { type: "string", format: "gs-uri" }, { type: "string", format: "gs-uri" }],
    ["a wrong-typed note", { description: 5, title: null, deprecated: "no" }, {}],
    ["an unknown keyword", { "x-order": 3, example: "e" }, { "x-order": 3, example: "e" }],
    ["an asynchronous schema", { $async: true, type: "string" }, { type: "string" }],
    ["a hidden order", { description: "a\u202Eb" }, { description: "a\\u{202e}b" }],
  ])(`%s ${verifies("FT1", "FT3", "F1")}`, (_case, written, expected) => {
    expect(property(written)).toEqual(expected);
  });

  it("requires what a property says of itself", () => {
    const { schema } = mended({ properties: { a: { type: "string", required: true }, b: { required: false } } });
    expect(schema).toMatchObject({ required: ["a"], properties: { a: { type: "string" }, b: {} } });
  });

  it.each<[string, unknown, string]>([
    ["an unknown type", { type: "colour" }, 'properties.p.type: "colour" is no type'],
    ["a type that is an object", { type: { enum: ["a"] } }, "properties.p.type: it is no type"],
    ["a look-ahead", { pattern: "^(?=.*\\d).{8,}$" }, "properties.p.pattern: can't run in linear time"],
    ["a back reference", { pattern: "(a)\\1" }, "properties.p.pattern: can't run in linear time"],
    ["a giant repetition", { pattern: "^.{1,5000}$" }, "properties.p.pattern: is too costly"],
    ["a reference to another document", { $ref: "https://example.invalid/x.json" }, "is in another document"],
    ["a reference to nothing", { $ref: "#/$defs/nobody" }, "points to nothing"],
    ["a giant enum", { enum: Array.from({ length: 50_000 }, (_, n) => n) }, "has 50000 values"],
    ["an empty enum", { enum: [] }, "is no list of values"],
    ["a limit that is no number", { maximum: "many" }, "properties.p.maximum: is no number"],
    ["a negative count", { maxLength: -1 }, "is no count"],
    ["an infinite multiple", { multipleOf: 0 }, "is no number above 0"],
    ["a list as a schema", [{ type: "string" }], "is no schema"],
    ["alternatives that are no list", { anyOf: "x" }, "is no list of schemas"],
  ])(`drops %s and says so ${verifies("FT3", "F1")}`, (_case, written, note) => {
    const { notes } = mended({ properties: { p: written, other: { type: "string", maxLength: 1 } } });
    expect(notes.join("; ")).toContain(note);
    // The neighbour is checked all the same.
    expect(fits({ properties: { p: written, other: { type: "string", maxLength: 1 } } }, { other: "ab" })).toBe(false);
  });

  // biome-ignore lint/suspicious/noThenProperty: that is how the keyword is called.
  const conditional = { if: { properties: { a: { pattern: "(?=x)" } } }, then: false };

  it.each<[string, unknown]>([
    ["not", { properties: { a: { not: { pattern: "(?=x)" } } } }],
    ["if", conditional],
    ["oneOf", { oneOf: [{ properties: { a: { pattern: "(?=x)" } } }, {}] }],
    ["the properties that are left", { patternProperties: { "(?=a)": {} }, additionalProperties: false }],
    ["the properties that nobody looked at", { allOf: [{ $ref: "#/$defs/none" }], unevaluatedProperties: false }],
    ["the items that are left", { properties: { a: { prefixItems: "x", items: false } } }],
    [
      "not, through a reference",
      { $defs: { d: { $ref: "https://x.invalid" } }, properties: { a: { not: { $ref: "#/$defs/d" } } } },
    ],
    ["not, through a marked null", { properties: { a: { not: { $ref: "https://x.invalid", nullable: true } } } }],
    ["maxContains", { properties: { a: { contains: { type: "colour" }, maxContains: 0 } } }],
    ["a name that can't be used", { properties: JSON.parse('{"__proto__":{}}'), additionalProperties: false }],
  ])("never becomes stricter by what it drops: %s", (_case, raw) => {
    for (const args of [{}, { a: "x" }, { a: ["x"] }, { a: 1, b: 2 }]) expect(fits(raw, args)).toBe(true);
  });
});

describe("references of a schema", () => {
  it("are found wherever they point to in the document", () => {
    const raw = {
      $schema: "http://json-schema.org/draft-07/schema#",
      $id: "https://example.com/args.json",
      definitions: {
        Colour: { type: "string", enum: ["red"] },
        "a/b%c": { type: "integer" },
        Anchored: { $anchor: "here", type: "boolean" },
        Old: { id: "#old", type: "null" },
      },
      components: {
        schemas: { Thing: { type: "object", properties: { more: { $ref: "#/components/schemas/Thing" } } } },
      },
      properties: {
        a: { $ref: "#/definitions/Colour" },
        b: { $ref: "#/definitions/a~1b%25c" },
        c: { $ref: "#here" },
        d: { $ref: "#old" },
        e: { $ref: "#/components/schemas/Thing" },
        f: { $ref: "#/properties/a" },
        g: { $ref: "https://example.com/args.json#/definitions/Colour" },
        h: { $ref: "#/$defs/Colour" },
        i: { $ref: "#" },
        j: { type: "array", items: [{ $ref: "#/definitions/Colour" }] },
        k: { $ref: "#/properties/j/items/0" },
      },
    };
    const { schema, notes } = mended(raw);
    expect(notes).toEqual([]);
    expect(JSON.stringify(schema)).not.toMatch(/definitions|components/);
    const right = {
      a: "red",
      b: 1,
      c: true,
      d: null,
      e: { more: { more: {} } },
      f: "red",
      g: "red",
      h: "red",
      i: { a: "red" },
      j: ["red"],
      k: "red",
    };
    expect(fits(raw, right)).toBe(true);
    for (const name of Object.keys(right))
      expect([name, fits(raw, { [name]: name === "i" ? { a: 1 } : "blue" })]).toEqual([name, false]);
  });

  it("at the top are followed, so that the properties are seen there", () => {
    const { schema } = mended({ $ref: "#/$defs/Args", $defs: { Args: { type: "object", properties: { a: {} } } } });
    expect(schema).toMatchObject({ type: "object", properties: { a: {} } });
    expect(schema.$ref).toBeUndefined();
  });
});

describe("a schema that can't be used", () => {
  const doubling = Object.fromEntries(
    Array.from({ length: 30 }, (_, n) => [
      `d${n}`,
      { anyOf: [{ $ref: `#/$defs/d${n + 1}` }, { $ref: `#/$defs/d${n + 1}` }] },
    ]),
  );
  const nested = (levels: number): unknown => Array.from({ length: levels }).reduce((inner) => ({ not: inner }), {});

  it.each<[string, unknown, string]>([
    ["a list", [1], "is no object"],
    ["text", "object", "is no object"],
    ["false", false, "is no object"],
    ["a schema of text", { type: "string" }, "describes string, and arguments are an object"],
    [
      "20 000 properties",
      { properties: Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`p${n}`, {}])) },
      "has more than 5000 parts",
    ],
    ["doubling alternatives", { ...doubling.d0, $defs: { ...doubling, d30: {} } }, "is too costly"],
    [
      "a reference to itself",
      { properties: { a: { $ref: "#/$defs/a" } }, $defs: { a: { $ref: "#/$defs/a" } } },
      "refers to itself without end",
    ],
    ["the whole in itself", { allOf: [{ $ref: "#" }] }, "refers to itself without end"],
    ["20 000 levels", nested(20_000), "is nested more than 32 levels deep"],
    ["a giant note", { "x-data": Array.from({ length: 30_000 }, () => 0) }, "has more than 20000 values"],
    [
      "a giant text",
      {
        properties: Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`p${n}`, { title: "x".repeat(9_000) }])),
      },
      "is larger than",
    ],
  ])(`says why: %s ${verifies("FT3", "E2")}`, (_case, raw, problem) => {
    const result = mendSchema(raw);
    expect(result.kind === "unusable" && result.problem).toContain(problem);
  });

  it("is told apart from one that is absent", () => {
    for (const raw of [undefined, null, true, {}, []]) expect(mended(raw).schema).toEqual({ type: "object" });
  });
});
