import { mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { ServerState, ToolState } from "../../../gen/atoll/tool/v1/tool_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { filesystemCommand } from "../../kernel/config/resolving/filesystem-server.ts";
import { ErrorReason, failureFacts } from "../../kernel/errors.ts";
import { probe, sloppy, startRouter, stdio, temporaryFolder, whenReady } from "../toolrouter.fixture.ts";

function history(): string {
  return path.join(temporaryFolder(), "history");
}

describe("ListTools", () => {
  it("waits for servers that are starting and names tools by server", async () => {
    const router = await startRouter({
      b: probe(history()),
      a: probe(history(), { trusted: false, repeatableTools: ["echo"] }),
    });
    await whenReady(router, "a", "b");
    const { tools, unavailable } = await router.client.listTools({});
    expect(unavailable).toEqual([]);
    const names = tools.map(({ name }) => name);
    expect(names).toContain("a.echo");
    expect(names).toContain("b.echo");
    expect(names).toEqual([...names].sort());
    const [a, b] = ["a.echo", "b.echo"].map((name) => tools.find((tool) => tool.name === name));
    expect(a).toMatchObject({ server: "a", state: ToolState.PENDING, repeatable: true });
    expect(b).toMatchObject({ server: "b", state: ToolState.READY, repeatable: false, description: "Says it again." });
    expect(a?.definitionHash).toMatch(/^[0-9a-f]{64}$/);
    expect(a?.definitionHash).toBe(b?.definitionHash);
  });

  it("shows hidden characters in names and descriptions", async () => {
    const router = await startRouter({ probe: probe(history()) });
    await whenReady(router, "probe");
    const { tools } = await router.client.listTools({});
    const weird = tools.find(({ name }) => name.startsWith("probe.we"));
    expect(weird).toMatchObject({ name: "probe.we\\u{202e}ird\\\\", description: "Hidden \\u{200b}text.\\u{7}" });
    const { result } = await router.client.invokeTool({ call: { callId: "c1", tool: weird?.name ?? "" } });
    expect(result?.content[0]?.block.value).toMatchObject({ text: "weird" });
  });

  it(`names a server whose name is long and odd in a sentence ${verifies("F4", "FT1")}`, async () => {
    const serverInfo = { name: `a\u202e\ud800${"x".repeat(1_000_000)}`, version: "\u0007".repeat(1_000_000) };
    const greeting = { protocolVersion: "2025-06-18", capabilities: { tools: true }, serverInfo };
    const router = await startRouter({ odd: sloppy({ initialize: [[{ result: greeting }]] }).settings });
    await whenReady(router, "odd");
    const { server } = await router.client.getServer({ name: "odd" });
    expect(server?.serverTitle).toMatch(/^a\\u\{202e\}\ufffdx+…$/);
    expect(server?.serverTitle).toHaveLength(1024);
    expect(server?.serverVersion).toHaveLength(1024);
    expect((await router.client.listTools({})).tools.map(({ name }) => name)).toEqual(["odd.work"]);
  });

  it("pages without a gap, and refuses a token that is not its own", async () => {
    const router = await startRouter({ probe: probe(history()) });
    await whenReady(router, "probe");
    const whole = (await router.client.listTools({})).tools.map(({ name }) => name);
    const paged: string[] = [];
    for (let pageToken = ""; ; ) {
      const page = await router.client.listTools({ pageSize: 5, pageToken });
      paged.push(...page.tools.map(({ name }) => name));
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
      expect(page.tools).toHaveLength(5);
    }
    expect(paged).toEqual(whole);
    await expect(router.client.listTools({ pageToken: "bogus" })).rejects.toThrow();
  });

  it("shows an agent only what it may use", async () => {
    const router = await startRouter({ probe: probe(history()) }, { agentTools: { main: ["probe.e*", "other.*"] } });
    await whenReady(router, "probe");
    const { tools } = await router.client.listTools({ agentId: "main" });
    expect(tools.map(({ name }) => name)).toEqual(["probe.echo", "probe.environ"]);
    const allowed = await router.client.explainPolicy({ tool: "probe.echo", context: { agentId: "main" } });
    expect(allowed).toMatchObject({ layer: "agent", rule: "probe.e*" });
    expect(await router.client.explainPolicy({ tool: "probe.fail" })).toMatchObject({
      layer: "profile",
      rule: "default",
    });
  });

  it("leaves out a server that is switched off", async () => {
    const router = await startRouter({ probe: probe(history(), { disabled: true }) });
    expect(await router.client.listTools({})).toMatchObject({ tools: [], unavailable: [] });
    const { servers } = await router.client.listServers({});
    expect(servers).toMatchObject([{ name: "probe", state: ServerState.STOPPED }]);
  });
});

describe("WatchTools", () => {
  it("tells how things are, then what a server adds", async () => {
    const router = await startRouter({ probe: probe(history()) });
    await whenReady(router, "probe");
    await router.client.listTools({});
    const stop = new AbortController();
    const seen = router.client.watchTools({}, { signal: stop.signal })[Symbol.asyncIterator]();
    const first = await seen.next();
    expect(first.value?.tools.map(({ name }: { name: string }) => name)).toContain("probe.grow");
    await router.client.invokeTool({ call: { callId: "c1", tool: "probe.grow" } });
    const second = await seen.next();
    expect(second.value?.tools.map(({ name }: { name: string }) => name)).toEqual(["probe.grown"]);
    const { result } = await router.client.invokeTool({ call: { callId: "c2", tool: "probe.grown" } });
    expect(result?.content[0]?.block.value).toMatchObject({ text: "new" });
    const third = seen.next();
    await router.client.invokeTool({ call: { callId: "c3", tool: "probe.crash" } });
    expect((await third).value?.removedTools).toContain("probe.grown");
    stop.abort();
    await expect(seen.next()).rejects.toThrow();
  });
});

describe("the file server", () => {
  it("reads a file of its folder, and its arguments are checked", async () => {
    const folder = realpathSync(temporaryFolder());
    mkdirSync(path.join(folder, "sub"));
    writeFileSync(path.join(folder, "notes.md"), "buy milk");
    const { command, args } = filesystemCommand(folder);
    const router = await startRouter({ filesystem: stdio(command, args, { repeatableTools: ["*"] }) });
    await whenReady(router, "filesystem");
    const { tools } = await router.client.listTools({ server: "filesystem" });
    expect(tools.map(({ name }) => name)).toContain("filesystem.read_text_file");
    const read = {
      tool: "filesystem.read_text_file",
      argumentsJson: JSON.stringify({ path: path.join(folder, "notes.md") }),
    };
    const { result } = await router.client.invokeTool({ call: { callId: "c1", ...read } });
    expect(result?.content[0]?.block.value).toMatchObject({ text: "buy milk" });
    const wrong = { callId: "c2", tool: read.tool, argumentsJson: '{"path":7}' };
    const error = await router.client.invokeTool({ call: wrong }).catch((thrown: unknown) => thrown);
    if (!(error instanceof ConnectError)) throw new Error("expected a refusal");
    expect(failureFacts(error)).toMatchObject({
      reason: ErrorReason.TOOL_ARGUMENTS_INVALID,
      fields: [{ path: "arguments.path", problem: "must be string" }],
    });
    const outside = {
      callId: "c3",
      tool: read.tool,
      argumentsJson: JSON.stringify({ path: createRequire(import.meta.url).resolve("vitest") }),
    };
    const denied = await router.client.invokeTool({ call: outside });
    expect(denied.result?.content[0]?.block.value).toMatchObject({ text: expect.stringContaining("denied") });
  });
});
