import type { JsonObject } from "@bufbuild/protobuf";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { compileSchema } from "../checking/compile-schema.ts";
import { mendSchema } from "./mend-schema.ts";
import { mended } from "./mended-schema.fixture.ts";

/** JSON that looks like a schema, here and there. */
const anySchema = fc.letrec<{ schema: unknown; json: unknown }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<unknown>(
      null,
      true,
      false,
      0,
      -1,
      1.5,
      1e308,
      Number.POSITIVE_INFINITY,
      "",
      "a",
      "string",
      "any",
      "#",
      "#/$defs/a",
      "(?=a)",
      "^(a+)+$",
      "\ud800",
      "__proto__",
    ),
    fc.array(tie("json"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b", "__proto__", "type", "\ud800"), tie("json"), { maxKeys: 3 }),
  ),
  schema: fc.oneof(
    { maxDepth: 5 },
    { weight: 1, arbitrary: tie("json") },
    {
      weight: 5,
      arbitrary: fc.dictionary(
        fc.constantFrom(
          "type",
          "properties",
          "patternProperties",
          "additionalProperties",
          "items",
          "additionalItems",
          "prefixItems",
          "contains",
          "required",
          "enum",
          "const",
          "not",
          "if",
          "then",
          "else",
          "allOf",
          "anyOf",
          "oneOf",
          "$ref",
          "$dynamicRef",
          "$recursiveRef",
          "$defs",
          "definitions",
          "dependencies",
          "dependentSchemas",
          "dependentRequired",
          "minimum",
          "exclusiveMinimum",
          "maximum",
          "exclusiveMaximum",
          "multipleOf",
          "minLength",
          "maxLength",
          "minItems",
          "maxContains",
          "minContains",
          "uniqueItems",
          "pattern",
          "format",
          "nullable",
          "id",
          "$id",
          "$anchor",
          "$schema",
          "$async",
          "default",
          "description",
          "title",
          "unevaluatedProperties",
          "unevaluatedItems",
          "propertyNames",
          "discriminator",
          "x-any",
          "__proto__",
          "contentSchema",
          "$vocabulary",
        ),
        fc.oneof(
          tie("schema"),
          tie("json"),
          fc.array(tie("schema"), { maxLength: 3 }),
          fc.dictionary(fc.constantFrom("a", "b", "d", "^a", "(?=b)", "__proto__"), tie("schema"), { maxKeys: 3 }),
        ),
        { maxKeys: 5 },
      ),
    },
  ),
})).schema;

describe(`a schema whose definitions are not all used when it is mended ${verifies("FT1", "F1")}`, () => {
  it.each([
    ["its root refers to it", '{"$ref":"#/$defs/a","$defs":{"a":{"title":"x"}}}', { title: "x", type: "object" }],
    ["it has an odd name", '{"$ref":"__proto__","$defs":{"__proto__":{}}}', { type: "object" }],
    [
      "the root's refers to another",
      '{"$ref":"#/$defs/a","$defs":{"a":{"properties":{"p":{"$ref":"#/$defs/b"}}},"b":{"type":"string"}}}',
      { properties: { p: { $ref: "#/$defs/b" } }, type: "object", $defs: { b: { type: "string" } } },
    ],
    ["its user is dropped", '{"not":{"$ref":"a"},"$defs":{"a":{"pattern":"(?=x)"}}}', { type: "object" }],
  ])("has only those that are: %s", (_what, text, expected) => {
    const { schema } = mended(JSON.parse(text));
    expect(schema).toEqual(expected);
    expect(mended(schema)).toMatchObject({ schema, notes: [] });
  });
});

describe("any JSON as a schema", () => {
  it(`never throws, and what is usable compiles and checks ${verifies("FT1", "FT3", "F1")}`, () => {
    fc.assert(
      fc.property(
        anySchema,
        fc.dictionary(fc.constantFrom("a", "b"), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 2 }),
        (raw, args) => {
          const result = mendSchema(raw);
          if (result.kind === "unusable") {
            expect(result.problem).not.toBe("");
            return;
          }
          expect(result.schema.type).toBe("object");
          // Without our own settings: the schema itself is right, for whoever reads it.
          expect(metaschema.validateSchema(result.schema)).toBe(true);
          new Ajv2020({
            strict: false,
            meta: false,
            validateSchema: false,
            validateFormats: false,
            code: { regExp: anyPattern },
          }).compile(result.schema);
          const compiled = compileSchema(result.schema);
          if (compiled.kind === "broken") throw new Error(compiled.problem);
          compiled.check(args as JsonObject);
          // What is mended needs no mending.
          const again = mended(result.schema);
          expect(again.schema).toEqual(result.schema);
          expect(again.notes).toEqual([]);
        },
      ),
      { numRuns: 500 },
    );
  });
});

/** ajv's own engine refuses some patterns that ours takes. */
const anyPattern = Object.assign((pattern: string) => ({ test: () => true, toString: () => pattern }), {
  code: "anyPattern",
});

const metaschema = new Ajv2020({ logger: false });
