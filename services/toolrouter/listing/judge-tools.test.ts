import type { JsonObject } from "@bufbuild/protobuf";
import { toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ToolSchema, ToolState } from "../../../gen/atoll/tool/v1/tool_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { compileSchema } from "../schema/checking/compile-schema.ts";
import { stdio } from "../toolrouter.fixture.ts";
import { judgeTools } from "./judge-tools.ts";

const settings = stdio("x", []);
const judge = (...entries: unknown[]) => judgeTools("s", settings, entries);
const tool = (name: unknown, inputSchema: unknown = { type: "object" }, rest: object = {}) => ({
  name,
  inputSchema,
  ...rest,
});

describe("a list of tools", () => {
  it.each<[string, unknown]>([
    ["an entry that is null", null],
    ["an entry that is text", "read"],
    ["an entry without a name", { inputSchema: {} }],
    ["a name that is a number", tool(5)],
    ["an empty name", tool("")],
    ["a name that is null", tool(null)],
    ["a name that comes twice", tool("first")],
  ])(`leaves out %s alone, and says so ${verifies("FT1", "F1")}`, (_case, entry) => {
    const { tools, unusable, problem } = judge(tool("first"), entry, tool("last"));
    expect([...tools.keys()]).toEqual(["s.first", "s.last"]);
    expect(unusable.size).toBe(0);
    expect(problem).toMatch(/^1 entry of its list left out: (entry 2|s\.first)/);
  });

  it.each<[string, unknown]>([
    ["a schema of text", tool("bad", { type: "string" })],
    ["a schema that is text", tool("bad", "object")],
    [
      "20 000 properties",
      tool("bad", { properties: Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`p${n}`, {}])) }),
    ],
    ["a schema without end", tool("bad", { $ref: "#" })],
  ])(`shows a tool with %s to people, with its reason ${verifies("FT1", "FT3", "E2", "F1")}`, (_case, entry) => {
    const { tools, unusable, problem } = judge(tool("first"), entry, tool("last"));
    expect([...tools.keys()]).toEqual(["s.first", "s.last"]);
    const shown = unusable.get("s.bad");
    expect(shown).toMatchObject({ state: ToolState.UNUSABLE, definitionHash: "" });
    expect(shown?.problem).toMatch(/^its schema /);
    expect(problem).toBe("1 of its tools can't be used; `atoll tools` tells why");
  });

  it.each<[string, object]>([
    ["no schema", { inputSchema: undefined }],
    ["a null schema", { inputSchema: null }],
    ["a schema that is true", { inputSchema: true }],
    [
      "a null description and title",
      { description: null, title: null, annotations: null, outputSchema: null, _meta: null, icons: 5 },
    ],
    ["wrong-typed annotations", { annotations: { readOnlyHint: "yes", destructiveHint: 0, title: ["x"] } }],
    ["annotations that are a list", { annotations: ["readOnlyHint"] }],
  ])(`takes a tool with %s as it is ${verifies("FT1", "F1")}`, (_case, parts) => {
    const { tools, problem } = judge({ ...tool("t"), ...parts });
    expect(problem).toBe("");
    const hints = { readOnly: false, destructive: true, idempotent: false, openWorld: true };
    expect(tools.get("s.t")?.tool).toMatchObject({
      state: ToolState.READY,
      description: "",
      title: "",
      hints,
      problem: "",
    });
  });

  it("keeps a tool whose answer's schema is wrong, without that", () => {
    const { tools } = judge(tool("t", {}, { outputSchema: { type: "array" } }));
    expect(tools.get("s.t")?.tool.outputSchema).toBeUndefined();
    expect(tools.get("s.t")?.tool.problem).toContain("the schema of its answer is left out");
  });

  it("tells what of a usable tool is not checked", () => {
    const { tools } = judge(tool("t", { properties: { p: { pattern: "(?=a)" } } }));
    expect(tools.get("s.t")?.tool).toMatchObject({
      state: ToolState.READY,
      problem: expect.stringContaining("properties.p.pattern"),
    });
  });

  it("hashes what is shown, not the order in which it was written", () => {
    const hash = (entry: unknown): string | undefined => [...judge(entry).tools.values()][0]?.tool.definitionHash;
    const one = tool("t", { type: "object", properties: { a: {}, b: {} } });
    expect(hash(tool("t", { properties: { b: {}, a: {} }, type: "object" }))).toBe(hash(one));
    expect(hash(tool("t", { type: "object", properties: { a: {} } }))).not.toBe(hash(one));
    expect(hash({ ...one, description: "other" })).not.toBe(hash(one));
  });

  it("does not take the server's hints for the operator's word", () => {
    const { tools } = judge(tool("t", {}, { annotations: { readOnlyHint: true, idempotentHint: true } }));
    expect(tools.get("s.t")?.tool.repeatable).toBe(false);
  });

  it("of 10 000 tools with large schemas keeps what fits into its bound", () => {
    const properties = Object.fromEntries(
      Array.from({ length: 200 }, (_, n) => [`p${n}`, { description: "x".repeat(100) }]),
    );
    const { tools, problem } = judge(...Array.from({ length: 1_000 }, (_, n) => tool(`t${n}`, { properties })));
    expect(tools.size).toBeGreaterThan(100);
    expect(tools.size).toBeLessThan(1_000);
    expect(problem).toContain("is beyond 16777216 bytes of definitions");
  });
});

describe("the name of a tool", () => {
  it.each<[string, string, string]>([
    ["read file", "s.read file", ""],
    ["a.b.c", "s.a.b.c", ""],
    ["🦀 crab", "s.🦀 crab", ""],
    ["größe", "s.größe", ""],
    ["a/b:c", "s.a/b:c", ""],
    ["we\u202Eird", "s.we\\u{202e}ird", ""],
    ["back\\slash", "s.back\\\\slash", "back\\slash"],
    [" read", "s.\\u{20}read", " read"],
    ["read ", "s.read\\u{20}", "read "],
    ["a\u00a0b", "s.a\\u{a0}b", "a\u00a0b"],
    ["two\nlines", "s.two\\u{a}lines", "two\nlines"],
  ])(`%j is %j ${verifies("FT4")}`, (name, expected, nameAtServer) => {
    const { tools } = judge(tool(name));
    expect(tools.get(expected)).toMatchObject({ nameAtServer: name, tool: { name: expected, nameAtServer } });
  });

  it(`over 240 characters is cut, stable and unique ${verifies("FT4")}`, () => {
    const [long, other] = [`${"x".repeat(300)}a`, `${"x".repeat(300)}b`];
    const both = [...judge(tool(long), tool(other), tool("y".repeat(65))).tools.keys()];
    expect(both).toHaveLength(3);
    expect(both.every((name) => name.length <= 240)).toBe(true);
    const [alone] = judge(tool(other)).tools.keys();
    expect(both).toContain(alone);
    expect([...judge(tool(long)).tools.values()][0]?.tool.nameAtServer).toBe(long);
    const giant = judge(tool("z".repeat(1_000_000)));
    expect([...giant.tools.values()][0]?.tool.nameAtServer).toHaveLength(1_024);
  });

  it("never is that of another tool", () => {
    const { tools } = judge(
      tool("a\u202Eb"),
      tool("a\\u{202e}b"),
      tool("a\\\\u{202e}b"),
      tool("a b"),
      tool("a b "),
      tool(" a b"),
    );
    expect(tools.size).toBe(6);
  });
});

describe("any list of tools", () => {
  const odd = fc.oneof(
    fc.constantFrom<unknown>(undefined, null, true, 5, "", "a", "a b", "\u202e", "\ud800", "object", [], {}),
    fc.string({ unit: "binary", maxLength: 20 }),
    fc.object({ maxDepth: 3 }),
    fc.record({
      type: fc.constantFrom("object", "any", "int", null),
      properties: fc.dictionary(fc.string({ maxLength: 3 }), fc.anything({ maxDepth: 2 })),
    }),
  );
  const entry = fc.oneof(
    odd,
    fc.record(
      { name: odd, title: odd, description: odd, inputSchema: odd, outputSchema: odd, annotations: odd },
      { requiredKeys: [] },
    ),
  );

  it(`is judged without throwing: each tool is usable, or has a reason, or is counted ${verifies("FT1", "FT4", "F1")}`, () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 12 }), (entries) => {
        const { tools, unusable, problem } = judgeTools("s", settings, entries);
        const leftOut = Number(/(\d+) entr(?:y|ies) of its list/.exec(problem)?.[1] ?? 0);
        expect(tools.size + unusable.size + leftOut).toBe(entries.length);
        for (const [name, { tool: listed, inputSchema }] of tools) {
          expect(name.startsWith("s.") && name.length > 2 && name.length <= 240 && !unusable.has(name)).toBe(true);
          expect(inputSchema.type).toBe("object");
          expect(compileSchema(inputSchema as JsonObject).kind).toBe("usable");
          expect(toBinary(ToolSchema, listed).length).toBeGreaterThan(0);
        }
        for (const { problem: reason } of unusable.values()) expect(reason).not.toBe("");
      }),
      { numRuns: 300 },
    );
  });
});
