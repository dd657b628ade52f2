import type { JsonObject } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { createLog } from "../kernel/log.ts";
import type { McpTool } from "./mcp/mcp-connection.ts";
import { describeTools } from "./tool-catalog.ts";
import { stdio } from "./toolrouter.fixture.ts";

function tool(name: string, inputSchema: JsonObject = { type: "object" }, description = ""): McpTool {
  const hints = { readOnly: true, destructive: false, idempotent: true, openWorld: false };
  return { name, title: "", description, inputSchema, outputSchema: undefined, hints };
}

function catalog(...tools: McpTool[]) {
  const logLines: string[] = [];
  const log = createLog({ level: "info", format: "json", destination: { write: (line) => void logLines.push(line) } });
  return { tools: describeTools("s", stdio("x", []), tools, log), logLines };
}

describe("the catalog", () => {
  it("never gives two tools one name", () => {
    const { tools } = catalog(tool("a\u202Eb"), tool("a\\u{202e}b"), tool("a\\\\u{202e}b"));
    expect(tools.size).toBe(3);
  });

  it("leaves out what can't be named or represented, and says so", () => {
    const infinite = tool("infinite", { type: "object", maximum: Number.POSITIVE_INFINITY });
    let schema: JsonObject = {};
    for (let depth = 0; depth < 20_000; depth++) schema = { not: schema };
    const wrong = [tool("good"), tool(""), tool("x".repeat(300)), infinite, tool("deep", schema)];
    const { tools, logLines } = catalog(tool("good"), ...wrong);
    expect([...tools.keys()]).toEqual(["s.good"]);
    expect(logLines).toHaveLength(5);
  });

  it("hashes the definition, not the order in which it was written", () => {
    const hash = (one: McpTool): string | undefined => [...catalog(one).tools.values()][0]?.tool.definitionHash;
    const one = tool("t", { type: "object", properties: { a: {}, b: {} } });
    expect(hash(tool("t", { properties: { b: {}, a: {} }, type: "object" }))).toBe(hash(one));
    expect(hash(tool("t", { type: "object", properties: { a: {} } }))).not.toBe(hash(one));
    expect(hash({ ...one, description: "other" })).not.toBe(hash(one));
  });

  it("does not take the server's hints for the operator's word", () => {
    expect([...catalog(tool("t")).tools.values()][0]?.tool.repeatable).toBe(false);
  });
});
