import type { JsonObject } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { createArgumentCheck } from "./check-arguments.ts";

function check(schema: JsonObject, args: JsonObject) {
  return createArgumentCheck()("hash", schema, args);
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
    expect(check({ properties: { a: { $ref: "https://example.invalid/x" } } }, { a: 1 }).kind).toBe("broken-schema");
    expect(check({ properties: { a: { pattern: "(" } } }, { a: "1" }).kind).toBe("broken-schema");
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
