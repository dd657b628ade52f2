/** What a server may list as its tools. */
import fc from "fast-check";

const names = fc.oneof(
  fc.constantFrom("read", "a b", "a.b", "x".repeat(70), "ü", "", "read"),
  fc.string({ unit: "binary", maxLength: 12 }),
);
const keys = fc.oneof(
  fc.constantFrom("path", "StartTime>", "$ref", "a[0]", "a b", "k".repeat(80), "__proto__", "constructor"),
  fc.string({ unit: "binary", maxLength: 6 }),
);
const { schema } = fc.letrec<{ schema: unknown }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constantFrom<unknown>(true, false, null, {}, { type: "string" }, { type: "any" }, { type: ["integer", "null"] }),
    fc.constantFrom<unknown>(
      { type: "number", minimum: 1, exclusiveMinimum: true },
      { type: "array", items: [{ type: "string" }], additionalItems: false },
      { $ref: "#/definitions/a", definitions: { a: { type: "string" } } },
      { $ref: "https://example.org/s.json" },
      { type: "string", pattern: "^(a+)+$" },
      { type: "string", pattern: "(?=x)" },
      { type: "string", pattern: "[" },
      { type: "string", format: "no-such" },
      { enum: [] },
      { type: "string", required: true, nullable: true },
    ),
    fc.record(
      {
        type: fc.constantFrom<unknown>("object", "array", "any", null, ["object", "null"]),
        properties: fc.dictionary(keys, tie("schema"), { maxKeys: 4 }),
        required: fc.oneof(fc.constant(null), fc.array(keys, { maxLength: 2 })),
        items: tie("schema"),
        anyOf: fc.array(tie("schema"), { maxLength: 2 }),
        additionalProperties: tie("schema"),
        description: fc.constantFrom<unknown>("d", 5, null),
      },
      { requiredKeys: [] },
    ),
  ),
}));
const odd = fc.constantFrom<unknown>(null, true, 5, "", "a", [], {});

/** Entries of one list, as JSON. */
export const anyList: fc.Arbitrary<readonly unknown[]> = fc
  .array(
    fc.oneof(
      { weight: 1, arbitrary: odd },
      {
        weight: 9,
        arbitrary: fc.record(
          {
            name: fc.oneof({ weight: 9, arbitrary: names }, { weight: 1, arbitrary: odd }),
            description: fc.oneof(fc.constant("d"), odd),
            inputSchema: schema,
            outputSchema: fc.oneof(schema, odd),
            annotations: fc.oneof(odd, fc.record({ readOnlyHint: odd, title: odd })),
          },
          { requiredKeys: ["name"] },
        ),
      },
    ),
    { maxLength: 12 },
  )
  .map((entries) => JSON.parse(JSON.stringify(entries)) as unknown[]);
