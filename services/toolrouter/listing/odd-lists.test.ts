import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { ServerState, ToolState } from "../../../gen/atoll/tool/v1/tool_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ErrorReason, failureFacts } from "../../kernel/errors.ts";
import { callsIn, type RunningRouter, rawServer, startRouter, until, whenReady } from "../toolrouter.fixture.ts";

const good = { name: "good", inputSchema: { type: "object", properties: { n: { type: "integer" } } } };

function page(tools: readonly unknown[], rest: object = {}): string {
  return JSON.stringify({ tools, ...rest });
}

async function namesOf(router: RunningRouter): Promise<readonly string[]> {
  await whenReady(router, "raw");
  const names: string[] = [];
  for (let pageToken = ""; ; ) {
    const listed = await router.client.listTools({ pageSize: 1_000, pageToken });
    names.push(...listed.tools.map(({ name }) => name));
    pageToken = listed.nextPageToken;
    if (pageToken === "") return names;
  }
}

async function serverOf(router: RunningRouter) {
  const { server } = await router.client.getServer({ name: "raw" });
  if (server === undefined) throw new Error("no server");
  return server;
}

async function call(router: RunningRouter, tool: string, args = {}) {
  const { result } = await router.client.invokeTool({
    call: { callId: `c-${tool.length}`, tool, argumentsJson: JSON.stringify(args) },
  });
  return result?.content[0]?.block.value;
}

describe("a server's list with a tool that is wrong", { timeout: 90_000 }, () => {
  it.each<[string, unknown]>([
    ["a property whose schema is true", { name: "odd", inputSchema: { type: "object", properties: { p: true } } }],
    ["a property whose schema is null", { name: "odd", inputSchema: { type: "object", properties: { p: null } } }],
    ["required: null", { name: "odd", inputSchema: { type: "object", required: null } }],
    ["a schema without a type", { name: "odd", inputSchema: { properties: {} } }],
    ["no schema", { name: "odd" }],
    [
      "nulls everywhere",
      {
        name: "odd",
        title: null,
        description: null,
        inputSchema: null,
        outputSchema: null,
        annotations: null,
        icons: null,
        execution: null,
        _meta: null,
      },
    ],
    ["wrong-typed annotations", { name: "odd", inputSchema: {}, annotations: { readOnlyHint: "yes", title: 5 } }],
  ])(`has all its tools: %s ${verifies("FT1", "F1")}`, async (_case, odd) => {
    const raw = rawServer(page([odd, good], { nextCursor: null, _meta: null }));
    const router = await startRouter({ raw: raw.settings });
    expect(await namesOf(router)).toEqual(["raw.good", "raw.odd"]);
    expect(await call(router, "raw.odd", {})).toMatchObject({ text: "called odd" });
    expect(await serverOf(router)).toMatchObject({ state: ServerState.READY, toolCount: 2, restarts: 0, problem: "" });
  });

  it(`has the others, and people see which and why ${verifies("FT1", "FT3", "F1")}`, async () => {
    const bad = { name: "bad", description: "d", inputSchema: { type: "string" } };
    const raw = rawServer(page([null, bad, good, { name: 7 }, "x", good]));
    const router = await startRouter({ raw: raw.settings });
    expect(await namesOf(router)).toEqual(["raw.good"]);
    const { tools } = await router.client.listTools({ includeUnusable: true });
    expect(tools.map(({ name, state, problem }) => [name, state, problem])).toEqual([
      ["raw.bad", ToolState.UNUSABLE, "its schema describes string, and arguments are an object"],
      ["raw.good", ToolState.READY, ""],
    ]);
    const server = await serverOf(router);
    expect(server).toMatchObject({ state: ServerState.READY, toolCount: 1, restarts: 0 });
    expect(server.problem).toContain("1 of its tools can't be used");
    expect(server.problem).toContain("4 entries of its list left out: entry 1 is no object");
    const refused: unknown = await call(router, "raw.bad").catch((error: unknown) => error);
    if (!(refused instanceof ConnectError)) throw new Error("expected a refusal");
    expect(refused.code).toBe(Code.FailedPrecondition);
    expect(failureFacts(refused).reason).toBe(ErrorReason.TOOL_UNUSABLE);
    expect(callsIn(raw.history, "bad")).toEqual([]);
  });
});

describe("a server whose list can't be read", { timeout: 90_000 }, () => {
  it.each<[string, string]>([
    ["no list", '{"tools":{"good":{}}}'],
    ["null", '{"tools":null}'],
    ["a result that is null", "null"],
    ["a result that is a list", "[]"],
    ["a result that is text", '"none"'],
    ["an error", ',"error":{"code":-32601,"message":"no such method"}'],
    ["an error without a code", ',"error":{"message":"busy"}'],
    ["an error that is text", ',"error":"busy"'],
  ])(`is ready all the same, with its problem: %s ${verifies("FT1", "F1")}`, async (_case, result) => {
    const raw = rawServer(result);
    const router = await startRouter({ raw: raw.settings });
    expect(await namesOf(router)).toEqual([]);
    const server = await serverOf(router);
    expect(server).toMatchObject({ state: ServerState.READY, toolCount: 0, restarts: 0 });
    expect(server.problem).toContain("its list of tools can't be read");
    // Nothing else can show that it is not started again for it.
    expect(callsIn(raw.history, "started")).toHaveLength(1);
  });

  it.each<[string, string]>([
    ["an error that is null beside the result", `,"error":null,"result":${page([good])}`],
    ["metadata that is text", `{"_meta":"x","tools":[${JSON.stringify(good)}]}`],
    ["a member that nobody knows", `,"result":${page([good])},"extra":1`],
  ])(`is read when the message around it is odd: %s ${verifies("FT1", "F1")}`, async (_case, result) => {
    const router = await startRouter({ raw: rawServer(result).settings });
    expect(await namesOf(router)).toEqual(["raw.good"]);
  });
});

describe("a list that comes in pages", { timeout: 90_000 }, () => {
  const tools = (from: number, count: number): unknown[] =>
    Array.from({ length: count }, (_, n) => ({ ...good, name: `t${String(from + n).padStart(5, "0")}` }));

  it(`of 200 tools, or of 7 000, is listed to its end ${verifies("FT1")}`, async () => {
    const pages = (count: number, size: number): string[] =>
      Array.from({ length: count }, (_, n) =>
        page(tools(n * size, size), { nextCursor: n === count - 1 ? "" : String(n + 1) }),
      );
    const raw = rawServer(...pages(10, 20));
    const router = await startRouter({ raw: raw.settings });
    expect(await namesOf(router)).toHaveLength(200);
    raw.setPages(
      ...pages(70, 100).map((text, n) => (n === 0 ? text.replace('"tools":[', '"tools":[{"name":"changed"},') : text)),
    );
    await router.client.restartServer({ requestId: "r", name: "raw" });
    expect(await namesOf(router)).toHaveLength(7_001);
    expect((await serverOf(router)).toolCount).toBe(7_001);
  });

  it.each<[string, readonly string[], number, string]>([
    [
      "a cursor that comes again",
      [page(tools(0, 2), { nextCursor: "1" }), page(tools(2, 2), { nextCursor: "1" })],
      4,
      "does not end",
    ],
    ["a page that can't be read", [page(tools(0, 2), { nextCursor: "1" }), '{"tools":5}'], 2, "page 2 has no list"],
    [
      "a page that is refused",
      [page(tools(0, 2), { nextCursor: "1" }), ',"error":{"code":-32602,"message":"bad cursor"}'],
      2,
      "page 2: MCP error -32602: bad cursor",
    ],
    [
      "more than 10 000 tools",
      [page(tools(0, 6_000), { nextCursor: "1" }), page(tools(6_000, 6_000))],
      10_000,
      "more than 10000 tools",
    ],
    [
      "more than 100 pages",
      Array.from({ length: 102 }, (_, n) => page(tools(n, 1), { nextCursor: String(n + 1) })),
      100,
      "more than 100 pages",
    ],
  ])(`keeps what was listed before %s, and says so ${verifies("FT1", "F1")}`, async (_case, pages, count, problem) => {
    const raw = rawServer(...pages);
    const router = await startRouter({ raw: raw.settings });
    expect(await namesOf(router)).toHaveLength(count);
    const server = await serverOf(router);
    expect(server).toMatchObject({ state: ServerState.READY, toolCount: count, restarts: 0 });
    expect(server.problem).toContain(problem);
  });

  it(`is listed again when it changes; half a list takes no tool away ${verifies("F1")}`, async () => {
    const raw = rawServer(page([good, { name: "changed" }]));
    const router = await startRouter({ raw: raw.settings });
    expect(await namesOf(router)).toEqual(["raw.changed", "raw.good"]);
    raw.setPages('{"tools":false}');
    await call(router, "raw.changed");
    await until(async () => (await serverOf(router)).problem.includes("can't be read"));
    expect(await namesOf(router)).toEqual(["raw.changed", "raw.good"]);
  });

  it(`is told in answers that a client reads by default, however large the definitions are ${verifies("L7")}`, async () => {
    const properties = Object.fromEntries(
      Array.from({ length: 20 }, (_, n) => [`p${n}`, { description: "x".repeat(4_000) }]),
    );
    const large = Array.from({ length: 60 }, (_, n) => ({ name: `large${n}`, inputSchema: { properties } }));
    const router = await startRouter({
      raw: rawServer(page(large.slice(0, 30), { nextCursor: "1" }), page(large.slice(30))).settings,
    });
    await whenReady(router, "raw");
    const first = await router.client.listTools({ pageSize: 1_000 });
    expect(first.tools.length).toBeLessThan(60);
    expect(first.nextPageToken).not.toBe("");
    expect(await namesOf(router)).toHaveLength(60);
    const watched: number[] = [];
    const stop = new AbortController();
    for await (const { tools: some } of router.client.watchTools({}, { signal: stop.signal })) {
      watched.push(some.length);
      if (watched.reduce((sum, count) => sum + count, 0) === 60) break;
    }
    stop.abort();
    expect(watched.length).toBeGreaterThan(1);
  });
});
