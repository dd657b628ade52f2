import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { ConfigUnderTest } from "./config-under-test.fixture.ts";
import { loadConfig } from "./load-config.ts";

const on = new ConfigUnderTest();

describe("without a file", () => {
  it("has every default that the contract states", () => {
    const config = loadConfig({ cwd: on.cwd, env: { PATH: "/bin", ANTHROPIC_KEY: "x" }, terminal: false });
    expect(config).toMatchObject({
      configFile: undefined,
      listen: { host: "127.0.0.1", port: 18789 },
      dataDir: path.join(on.cwd, ".atoll"),
      workspaceDir: path.join(on.cwd, "workspace"),
      tls: undefined,
      runs: { leaseTtlMs: 5000, renewIntervalMs: 1000 },
      models: {
        defaultModel: "offline/scripted",
        aliases: new Map(),
        anthropic: { apiKey: undefined, maxRetries: 2 },
        offline: { tokenDelayMs: 8 },
      },
      defaultAgent: "main",
      inheritedEnv: { PATH: "/bin" },
      log: { level: "info", format: "json" },
      rpc: { unary: "fast" },
      lifecycle: { drainTimeoutMs: 30_000 },
    });
    expect(config.agents.get("main")).toMatchObject({
      displayName: "main",
      model: "offline/scripted",
      maxDurationMs: 3_600_000,
    });
    expect([...config.agents.keys()]).toEqual(["main"]);
  });

  it("runs the installed file server on the workspace with this very Node", () => {
    const server = loadConfig({ cwd: on.cwd, env: {} }).mcpServers.get("filesystem");
    if (server?.transport !== "stdio") throw new Error("not a program");
    expect(server.command).toBe(process.execPath);
    expect(existsSync(server.args[0] ?? "")).toBe(true);
    expect(server.args[1]).toBe(path.join(on.cwd, "workspace"));
    expect(server.trusted).toBe(true);
  });

  it("is pretty on a terminal, and uses Claude when there is a key", () => {
    const config = loadConfig({ cwd: on.cwd, env: { ANTHROPIC_API_KEY: "k" }, terminal: true });
    expect(config.log.format).toBe("pretty");
    expect(config.models).toMatchObject({ defaultModel: "anthropic/claude-sonnet-5-5", anthropic: { apiKey: "k" } });
  });
});

describe("the tools of an agent", () => {
  it.each<[string, readonly string[]]>([
    ["{}", ["*"]],
    ["{tools: }", ["*"]],
    ["{tools: []}", []],
    ["{tools: [none]}", []],
    ["{tools: [files.*]}", ["files.*"]],
    ['{tools: [""]}', [""]],
  ])(`%s are %j: an empty list is not a missing one ${verifies("E13")}`, async (written, tools) => {
    const config = await on.load(`agents: {main: ${written}, "my-agent2": ${written}}`);
    expect(config.agents.get("main")?.tools).toEqual(tools);
    expect(config.agents.get("my-agent2")?.tools).toEqual(tools);
  });
});

describe("the order of sources", () => {
  it("is flag, environment, file, default", async () => {
    const text = "listen: 127.0.0.1:1\ndata: from-file\nlog: {level: error}\n";
    const env = { ATOLL_LISTEN: "127.0.0.1:2", ATOLL_DATA: "from-env", ATOLL_LOG_LEVEL: "" };
    const config = await on.load(text, { env, flags: { listen: "[::1]:0" } });
    expect(config.listen).toEqual({ host: "::1", port: 0 });
    expect(config.dataDir).toBe(path.join(on.cwd, "from-env"));
    expect(config.log.level).toBe("error");
    expect(config.workspaceDir).toBe(path.join(on.cwd, "workspace"));
  });

  it("checks flags and environment like the file, and names all ways to give the value", async () => {
    const { problems, message } = await on.failureOf("", {
      env: { ATOLL_LOG_LEVEL: "wran", ATOLL_SESSION_URL: "localhost:1" },
      flags: { listen: "18789" },
    });
    expect(problems.map(({ path: at, source }) => [at, source])).toEqual([
      ["log.level", { from: "environment", name: "ATOLL_LOG_LEVEL" }],
      ["listen", { from: "flag", name: "listen" }],
      ["peers.session", { from: "environment", name: "ATOLL_SESSION_URL" }],
    ]);
    expect(message).toContain("--listen, ATOLL_LISTEN or `listen` in the file; default 127.0.0.1:18789");
    expect(message).toContain("Did you mean `warn`?");
  });

  it("reads the file that is named by flag or environment, which must exist", async () => {
    const named = path.join(on.cwd, "other.json");
    await writeFile(named, '{\n\t"defaultAgent": "coder",\n\t"agents": {"coder": {}}\n}');
    expect(loadConfig({ cwd: on.cwd, env: { ATOLL_CONFIG: named } }).defaultAgent).toBe("coder");
    expect(
      loadConfig({ cwd: on.cwd, env: { ATOLL_CONFIG: "nowhere" }, flags: { config: "other.json" } }).configFile,
    ).toBe(named);
    expect(() => loadConfig({ cwd: on.cwd, env: { ATOLL_CONFIG: "nowhere.yaml" } })).toThrow(/no file .*nowhere\.yaml/);
    expect(() => loadConfig({ cwd: on.cwd, env: {}, flags: { config: "." } })).toThrow(/can't be read \(EISDIR\)/);
  });

  it("does not guess which of two files is meant", async () => {
    await writeFile(path.join(on.cwd, "atoll.json"), "{}");
    expect((await on.problemOf("")).found).toContain("atoll.json");
  });
});

describe("sessions", () => {
  it("take every setting, and say which time zone is none", async () => {
    const given =
      "{idleTimeoutMs: 60000, cachedSessions: 8, timeZone: Asia/Tokyo, retentionDays: 30, maxLogBytes: 5000000000}";
    expect((await on.load(`sessions: ${given}`)).sessions).toEqual({
      idleTimeoutMs: 60_000,
      cachedSessions: 8,
      timeZone: "Asia/Tokyo",
      retentionDays: 30,
      maxLogEvents: 0,
      maxLogBytes: 5_000_000_000,
      directScope: "channel_peer",
      bindings: [],
    });
    const problem = await on.problemOf("sessions: {timeZone: Tokyo}");
    expect(problem).toMatchObject({ path: "sessions.timeZone", found: `"Tokyo"` });
    expect(problem.expected).toMatch(/IANA name/);
  });

  it("bind scopes to agents, in the order in which they are tried", async () => {
    const bindings = `{"*": main, "group:Telegram:*": support, "group:telegram:42": main, "thread:*": support}`;
    const { sessions } = await on.load(`agents: {support: {}}\nsessions: {directScope: peer, bindings: ${bindings}}`);
    expect(sessions.directScope).toBe("peer");
    expect(sessions.bindings.map(({ pattern, agentId }) => `${pattern.join(":")} ${agentId}`)).toEqual([
      "group:telegram:42 main",
      "group:telegram:* support",
      "thread:* support",
      "* main",
    ]);
  });

  it("say which binding can't hold", async () => {
    const bind = (pattern: string, agent: string) =>
      on.problemOf(`agents: {support: {}}\nsessions: {bindings: {"a:b": main, ${JSON.stringify(pattern)}: ${agent}}}`);
    expect(await bind("group:telegram", "main")).toMatchObject({ path: 'sessions.bindings["group:telegram"]' });
    expect(await bind("direct:*:*:*", "main")).toMatchObject({ found: expect.stringContaining("direct") });
    expect(await bind("a::b", "main")).toMatchObject({ found: expect.stringContaining(`the part ""`) });
    expect(await bind("x", "suport")).toMatchObject({
      path: "sessions.bindings.x",
      found: `"suport"`,
      hint: expect.stringContaining("support"),
    });
    const twice = await on.problemOf(`sessions: {bindings: {"Direct:a": main, "direct:a": main}}`);
    expect(twice.found).toMatch(/there already/);
    expect(await on.problemOf("sessions: {directScope: none}")).toMatchObject({ path: "sessions.directScope" });
  });
});

describe("models", () => {
  it.each([
    ["models: {defaultModel: gpt-9}", "models.defaultModel", '"gpt-9", which no provider serves'],
    ["models: {defaultModel: ofline}", "models.defaultModel", '"ofline"'],
    ["agents: {main: {model: claud-x}}", "agents.main.model", '"claud-x"'],
    ["agents: {coder: {model: llama}, main: {model: offline}}", "agents.coder.model", '"llama"'],
    ["models: {defaultModel: m, anthropic: {models: [n]}}", "models.defaultModel", '"m"'],
  ])(`without a provider stop the start: %s ${verifies("F1")}`, async (text, at, found) => {
    const problem = await on.problemOf(text);
    expect(problem.path).toBe(at);
    expect(problem.found).toContain(found);
    expect(problem.hint).toContain("models.anthropic.models");
  });

  it("that are listed, Claude's own and the offline one have a provider", async () => {
    const text =
      "models: {defaultModel: glm, anthropic: {models: [glm]}}\nagents: {a: {model: claude-x}, b: {model: offline}}";
    expect((await on.load(text)).agents.get("main")?.model).toBe("anthropic/glm");
  });
});
