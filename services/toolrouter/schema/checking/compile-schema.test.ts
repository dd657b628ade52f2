import type { JsonObject } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { mendSchema } from "../mending/mend-schema.ts";
import { compileSchema } from "./compile-schema.ts";

function check(raw: unknown, args: JsonObject) {
  const mended = mendSchema(raw);
  if (mended.kind === "unusable") throw new Error(mended.problem);
  const compiled = compileSchema(mended.schema);
  if (compiled.kind === "broken") throw new Error(compiled.problem);
  return compiled.check(args);
}

describe("the check of arguments", () => {
  it("names every field that breaks the schema", () => {
    const items = {
      type: "array",
      items: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
    };
    const schema: JsonObject = {
      type: "object",
      properties: { path: { type: "string" }, mode: { enum: ["r", "w"] }, items, "a/b": { type: "number" } },
      required: ["path"],
      additionalProperties: false,
    };
    const args = { mode: "x", items: [{ name: "ok" }, {}, { name: 1 }], "a/b": "c", extra: true };
    const checked = check(schema, args);
    if (checked.kind !== "invalid") throw new Error(`expected invalid, got ${checked.kind}`);
    expect(checked.fields.map(({ path, problem }) => `${path} ${problem}`).sort()).toEqual([
      "arguments.extra is not known to the tool",
      "arguments.items[1].name is missing",
      "arguments.items[2].name must be string",
      'arguments.mode must be one of ["r","w"]',
      "arguments.path is missing",
      'arguments["a/b"] must be number',
    ]);
  });

  it("reads a schema in its own dialect", () => {
    const tuple = { type: "array", items: [{ type: "string" }], additionalItems: false };
    const draft07 = { $schema: "http://json-schema.org/draft-07/schema#", properties: { t: tuple } };
    expect(check(draft07, { t: ["a"] }).kind).toBe("valid");
    expect(check(draft07, { t: ["a", "b"] }).kind).toBe("invalid");
    const prefixed = { type: "array", prefixItems: [{ type: "string" }], items: false };
    const draft2020 = { $schema: "https://json-schema.org/draft/2020-12/schema", properties: { t: prefixed } };
    expect(check(draft2020, { t: ["a"] }).kind).toBe("valid");
    expect(check(draft2020, { t: ["a", "b"] }).kind).toBe("invalid");
  });

  it("says that a schema can't be used instead of passing everything", () => {
    const broken = compileSchema({ properties: { a: { $ref: "https://example.invalid/x" } } });
    expect(broken.kind).toBe("broken");
    expect(compileSchema({ properties: { a: { pattern: "(" } } }).kind).toBe("broken");
  });

  it("compares items in linear time, whatever they are", () => {
    const schema = { properties: { list: { type: "array", uniqueItems: true } } };
    const list: JsonObject[] = Array.from({ length: 20_000 }, (_, n) => ({ a: n, b: 1 }));
    expect(check(schema, { list }).kind).toBe("valid");
    expect(check(schema, { list: [...list, { b: 1, a: 5 }] })).toEqual({
      kind: "invalid",
      fields: [{ path: "arguments.list", problem: "must not hold the same item twice" }],
    });
  });

  it("tells patterns apart that are written in one schema", () => {
    const schema = {
      properties: { a: { pattern: "^a$" }, b: { pattern: "^b$" } },
      patternProperties: { "^x": { type: "number" } },
    };
    expect(check(schema, { a: "a", b: "b", x1: 1 }).kind).toBe("valid");
    const checked = check(schema, { a: "b", b: "a", x1: "1" });
    expect(checked.kind === "invalid" && checked.fields.map(({ path }) => path).sort()).toEqual([
      "arguments.a",
      "arguments.b",
      "arguments.x1",
    ]);
  });

  it("survives arguments deeper than the stack", () => {
    const schema = { $defs: { n: { properties: { n: { $ref: "#/$defs/n" } } } }, $ref: "#/$defs/n" };
    let args: JsonObject = {};
    for (let depth = 0; depth < 100_000; depth++) args = { n: args };
    expect(check(schema, args).kind).toBe("invalid");
  });

  it("tells a bounded number of problems", () => {
    const schema = { properties: { list: { items: { type: "string" } } } };
    const checked = check(schema, { list: Array.from({ length: 1000 }, () => 1) });
    expect(checked.kind === "invalid" && checked.fields.length).toBe(20);
  });
});
