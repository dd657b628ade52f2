import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import { ConfigError, type ConfigProblem } from "./config-error.ts";
import { type LoadConfigOptions, loadConfig } from "./load-config.ts";

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(path.join(tmpdir(), "atoll-config-"));
});
afterEach(async () => {
  await rm(cwd, { recursive: true });
});

async function load(text: string, options: LoadConfigOptions = {}) {
  await writeFile(path.join(cwd, "atoll.yaml"), text);
  return loadConfig({ cwd, env: {}, terminal: false, ...options });
}

async function failureOf(text: string, options: LoadConfigOptions = {}): Promise<ConfigError> {
  try {
    await load(text, options);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("the configuration was accepted");
}

async function problemOf(text: string, options: LoadConfigOptions = {}): Promise<ConfigProblem> {
  const { problems } = await failureOf(text, options);
  expect(problems).toHaveLength(1);
  return problems[0] as ConfigProblem;
}

describe("without a file", () => {
  it("has every default that the contract states", () => {
    const config = loadConfig({ cwd, env: { PATH: "/bin", ANTHROPIC_KEY: "x" }, terminal: false });
    expect(config).toMatchObject({
      configFile: undefined,
      listen: { host: "127.0.0.1", port: 18789 },
      dataDir: path.join(cwd, ".atoll"),
      workspaceDir: path.join(cwd, "workspace"),
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
    const server = loadConfig({ cwd, env: {} }).mcpServers.get("filesystem");
    if (server?.transport !== "stdio") throw new Error("not a program");
    expect(server.command).toBe(process.execPath);
    expect(existsSync(server.args[0] ?? "")).toBe(true);
    expect(server.args[1]).toBe(path.join(cwd, "workspace"));
    expect(server.trusted).toBe(true);
  });

  it("is pretty on a terminal, and uses Claude when there is a key", () => {
    const config = loadConfig({ cwd, env: { ANTHROPIC_API_KEY: "k" }, terminal: true });
    expect(config.log.format).toBe("pretty");
    expect(config.models).toMatchObject({ defaultModel: "anthropic/claude-sonnet-5-5", anthropic: { apiKey: "k" } });
  });
});

describe("the tools of an agent", () => {
  it.each<[string, readonly string[]]>([
    ["{}", ["*"]],
    ["{tools: }", ["*"]],
    ["{tools: []}", []],
    ["{tools: [files.*]}", ["files.*"]],
    ['{tools: [""]}', [""]],
  ])(`%s are %j: an empty list is not a missing one ${verifies("E13")}`, async (written, tools) => {
    const config = await load(`agents: {main: ${written}, "my-agent2": ${written}}`);
    expect(config.agents.get("main")?.tools).toEqual(tools);
    expect(config.agents.get("my-agent2")?.tools).toEqual(tools);
  });
});

describe("the order of sources", () => {
  it("is flag, environment, file, default", async () => {
    const text = "listen: 127.0.0.1:1\ndata: from-file\nlog: {level: error}\n";
    const env = { ATOLL_LISTEN: "127.0.0.1:2", ATOLL_DATA: "from-env", ATOLL_LOG_LEVEL: "" };
    const config = await load(text, { env, flags: { listen: "[::1]:0" } });
    expect(config.listen).toEqual({ host: "::1", port: 0 });
    expect(config.dataDir).toBe(path.join(cwd, "from-env"));
    expect(config.log.level).toBe("error");
    expect(config.workspaceDir).toBe(path.join(cwd, "workspace"));
  });

  it("checks flags and environment like the file, and names all ways to give the value", async () => {
    const { problems, message } = await failureOf("", {
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
    const named = path.join(cwd, "other.json");
    await writeFile(named, '{\n\t"defaultAgent": "coder",\n\t"agents": {"coder": {}}\n}');
    expect(loadConfig({ cwd, env: { ATOLL_CONFIG: named } }).defaultAgent).toBe("coder");
    expect(loadConfig({ cwd, env: { ATOLL_CONFIG: "nowhere" }, flags: { config: "other.json" } }).configFile).toBe(
      named,
    );
    expect(() => loadConfig({ cwd, env: { ATOLL_CONFIG: "nowhere.yaml" } })).toThrow(/no file .*nowhere\.yaml/);
    expect(() => loadConfig({ cwd, env: {}, flags: { config: "." } })).toThrow(/can't be read \(EISDIR\)/);
  });

  it("does not guess which of two files is meant", async () => {
    await writeFile(path.join(cwd, "atoll.json"), "{}");
    expect((await problemOf("")).found).toContain("atoll.json");
  });
});

describe("a wrong configuration", () => {
  it("names file, line, path and the key that was meant", async () => {
    const problem = await problemOf("agents:\n  main:\n    model: offline\n    modle: offline\n");
    expect(problem).toMatchObject({
      path: "agents.main.modle",
      hint: "Did you mean `model`?",
      source: { from: "file", file: path.join(cwd, "atoll.yaml"), line: 4, column: 5 },
    });
    expect(problem.expected).toContain("displayName, description, model");
  });

  it("reports all problems at once", async () => {
    const { problems, message } = await failureOf("lisen: x\nruns: {leaseTtlMs: soon}\nlog: 5\nagents: [a]\n");
    expect(problems.map(({ path: at }) => at)).toEqual(["lisen", "runs.leaseTtlMs", "log", "agents"]);
    expect(message.split("\n")).toHaveLength(5);
  });

  it.each([
    ["runs: {leaseTtlMs: '5000'}", "runs.leaseTtlMs", '"5000"', "a whole number from 1 to 600000"],
    ["runs: {leaseTtlMs: -1}", "runs.leaseTtlMs", "-1", "a whole number from 1 to 600000"],
    ["runs: {leaseTtlMs: 5000.5}", "runs.leaseTtlMs", "5000.5", "a whole number"],
    ["runs: {leaseTtlMs: 99999999999999999999}", "runs.leaseTtlMs", "99999999999999999999", "to 600000"],
    ["runs: {leaseTtlMs: .inf}", "runs.leaseTtlMs", ".inf", "to 600000"],
    ["limits: {maxConnections: 0}", "limits.maxConnections", "0", "from 1 to 1000000"],
    ["agents: {main: {maxDurationMs: 86400001}}", "agents.main.maxDurationMs", "86400001", "to 86400000"],
    ["agents: {main: {queueMode: colect}}", "agents.main.queueMode", '"colect"', "followup, steer, collect"],
    ["agents: {main: {model: 5}}", "agents.main.model", "5", "text"],
    ["agents: {Main: {}}", "agents.Main", "a name that can't be used", "^[a-z0-9]"],
    ["agents: {main: x}", "agents.main", '"x"', "a map"],
    ["listen: 127.0.0.1", "listen", '"127.0.0.1"', "host:port"],
    ["listen: 127.0.0.1:65536", "listen", '"127.0.0.1:65536"', "port 0 to 65535"],
    ["listen: 999.0.0.1:1", "listen", '"999.0.0.1:1"', "host:port"],
    ["listen: '::1:80'", "listen", '"::1:80"', "host:port"],
    ["tls: {certFile: a.pem}", "tls.keyFile", "only `certFile`", "both files"],
    ["defaultAgent: nobody", "defaultAgent", '"nobody"', "one of main"],
    ["runs: {leaseTtlMs: 2000}", "runs.leaseTtlMs", "2000", "more than twice runs.renewIntervalMs (1000)"],
    ["runs: {renewIntervalMs: 2500}", "runs.leaseTtlMs", "5000", "more than twice runs.renewIntervalMs (2500)"],
    ["access: {allowedOrigins: ['https://a.b/c']}", "access.allowedOrigins[0]", '"https://a.b/c"', "an origin"],
    ["access: {allowedHosts: ['https://a.b']}", "access.allowedHosts[0]", '"https://a.b"', "a host name"],
    ["access: {publicUrl: here}", "access.publicUrl", '"here"', "an http:// or https:// address"],
    [`data: ${"x".repeat(4097)}`, "data", "4097 characters", "at most 4096"],
    [
      `agents: {main: {instructions: ${"é".repeat(131_073)}}}`,
      "agents.main.instructions",
      "262146 bytes",
      "at most 262144",
    ],
    [`access: {allowedHosts: [${"h,".repeat(65)}]}`, "access.allowedHosts", "65 items", "at most 64"],
    ['workspace: "a\\0b"', "workspace", "text with a NUL character", "text without one"],
    ["__proto__: {listen: x}", "__proto__", "a key that does not exist", "one of listen"],
    ["agents: {constructor: {}}", "agents.constructor", "a name that can't be used", "another name"],
    ["listen: h:1\nlisten: h:2", "listen", "the key a second time", "first on line 1"],
    ["- a\n- b", "", "a list", "a map of keys and values"],
    ["just text", "", "a single value", "a map of keys and values"],
    ["a: [1, 2\nb: 3", "", "Flow sequence", "YAML 1.2 or JSON"],
    ["a: 1\n---\nb: 2", "", "multiple documents", "YAML 1.2 or JSON"],
    ["%YAML 1.1\n---\n{}", "", "%YAML 1.1", "YAML 1.2 or JSON"],
    ["data: !!binary aGk=", "", "Unresolved tag", "YAML 1.2 or JSON"],
    ["data: *nowhere", "data", "*nowhere", "an anchor before it"],
    ["agents: &a {main: *a}", "agents.main", "*a", "an anchor before it"],
    ["mcpServers: x", "mcpServers", '"x"', "a map"],
    ['"<<": {data: x}', '["<<"]', "a key that does not exist", "one of listen"],
    ["<<: x", '["<<"]', "a merge of what is no map", "an alias of a map"],
    ["data: ~nobody/x", "data", '"~nobody/x"', "a path without another user's home"],
    ["workspace: ~root", "workspace", '"~root"', "a path without another user's home"],
    ["tls: {certFile: ~a/c, keyFile: k}", "tls.certFile", '"~a/c"', "a path without another user's home"],
    ["agents:\n\tmain: {}", "", "Tabs are not allowed as indentation", "YAML 1.2 or JSON"],
  ])("refuses %s", async (text, at, found, expected) => {
    const problem = await problemOf(text);
    expect(problem.path).toBe(at);
    expect(problem.found).toContain(found);
    expect(problem.expected).toContain(expected);
  });

  it("refuses a file that is too large, too deep or not text", async () => {
    expect((await problemOf("#".repeat(4 * 1024 * 1024 + 1))).expected).toBe("at most 4194304");
    expect((await failureOf("[".repeat(20_000))).problems.length).toBeLessThanOrEqual(3);
    const deep = await failureOf(`data: ${"[".repeat(33)}${"]".repeat(33)}`);
    expect(deep.problems[0]?.expected).toBe("at most 32 levels");
    await writeFile(path.join(cwd, "latin"), Buffer.from([0x61, 0xe9, 0x62]));
    expect(() => loadConfig({ cwd, env: { ATOLL_CONFIG: "latin" } })).toThrow(/not UTF-8/);
    await writeFile(path.join(cwd, "half"), Buffer.from([0xff, 0xfe, 0x41]));
    expect(() => loadConfig({ cwd, env: { ATOLL_CONFIG: "half" } })).toThrow(/not UTF-16/);
  });

  it("is not blown up by aliases", async () => {
    const levels = Array.from({ length: 9 }, (_, level) => {
      const items = Array.from({ length: 9 }, () => (level === 0 ? "x" : `*a${level - 1}`));
      return `a${level}: &a${level} [${items.join(", ")}]`;
    });
    const problems = (await failureOf(levels.join("\n"))).problems;
    expect(problems).toHaveLength(9);
    const many = `agents: {main: &m {}, ${Array.from({ length: 200 }, (_, index) => `a${index}: *m`).join(", ")}}`;
    expect((await problemOf(many)).expected).toBe("at most 100");
  });

  it("reads honest anchors", async () => {
    const config = await load("agents:\n  main: &base {maxSteps: 5}\n  other: *base\n");
    expect(config.agents.get("other")?.maxSteps).toBe(5);
  });

  it("never shows a secret", async () => {
    const { message } = await failureOf(`models: {anthropic: {apiKey: [s3cret], baseUrl: "ftp://me:s3cret@h"}}`);
    expect(message).not.toMatch(/s3cret/);
    expect((await failureOf(`models: {anthropic: {apiKey: ${"s3cret".repeat(999)}}}`)).message).not.toContain("s3cret");
  });

  it("shows control characters in its message as text", async () => {
    const { message } = await failureOf('"a\\u001b[31m\\u202e": 1');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
    expect(message).not.toMatch(/[\u001b\u202e]/);
  });

  it("never fails in another way, whatever the file holds", async () => {
    const file = path.join(cwd, "any");
    const options = { cwd, env: { ATOLL_CONFIG: file } };
    const word = fc.constantFrom(
      "listen",
      "agents",
      "mcpServers",
      "servers",
      "mcp",
      "extensions",
      "inputs",
      "command",
      "transport",
      "timeout",
      "constructor",
      "<<",
      "$" + "{input:a}",
      "main",
      "env",
      "runs",
      "*a",
      "&a x",
      "!!set",
      "__proto__",
    );
    const tree = fc.letrec<{ node: unknown }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 4 },
        word,
        fc.constantFrom(null, 0, -1, 1e21, true),
        fc.array(tie("node"), { maxLength: 3 }),
        fc.dictionary(word, tie("node"), { maxKeys: 4 }),
      ),
    })).node;
    const text = fc.oneof(
      tree.map((value) => JSON.stringify(value)),
      fc.array(word).map((words) => words.join(": ")),
      fc.string(),
    );
    await fc.assert(
      fc.asyncProperty(text, async (content) => {
        await writeFile(file, content);
        try {
          loadConfig(options);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
        }
        expect(Object.hasOwn(Object.prototype, "listen")).toBe(false);
      }),
      { numRuns: 400 },
    );
  }, 120_000);
});

describe("sessions", () => {
  it("take every setting, and say which time zone is none", async () => {
    const given =
      "{idleTimeoutMs: 60000, cachedSessions: 8, timeZone: Asia/Tokyo, retentionDays: 30, maxLogBytes: 5000000000}";
    expect((await load(`sessions: ${given}`)).sessions).toEqual({
      idleTimeoutMs: 60_000,
      cachedSessions: 8,
      timeZone: "Asia/Tokyo",
      retentionDays: 30,
      maxLogEvents: 0,
      maxLogBytes: 5_000_000_000,
      directScope: "channel_peer",
      bindings: [],
    });
    const problem = await problemOf("sessions: {timeZone: Tokyo}");
    expect(problem).toMatchObject({ path: "sessions.timeZone", found: `"Tokyo"` });
    expect(problem.expected).toMatch(/IANA name/);
  });

  it("bind scopes to agents, in the order in which they are tried", async () => {
    const bindings = `{"*": main, "group:Telegram:*": support, "group:telegram:42": main, "thread:*": support}`;
    const { sessions } = await load(`agents: {support: {}}\nsessions: {directScope: peer, bindings: ${bindings}}`);
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
      problemOf(`agents: {support: {}}\nsessions: {bindings: {"a:b": main, ${JSON.stringify(pattern)}: ${agent}}}`);
    expect(await bind("group:telegram", "main")).toMatchObject({ path: 'sessions.bindings["group:telegram"]' });
    expect(await bind("direct:*:*:*", "main")).toMatchObject({ found: expect.stringContaining("direct") });
    expect(await bind("a::b", "main")).toMatchObject({ found: expect.stringContaining(`the part ""`) });
    expect(await bind("x", "suport")).toMatchObject({
      path: "sessions.bindings.x",
      found: `"suport"`,
      hint: expect.stringContaining("support"),
    });
    const twice = await problemOf(`sessions: {bindings: {"Direct:a": main, "direct:a": main}}`);
    expect(twice.found).toMatch(/there already/);
    expect(await problemOf("sessions: {directScope: none}")).toMatchObject({ path: "sessions.directScope" });
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
    const problem = await problemOf(text);
    expect(problem.path).toBe(at);
    expect(problem.found).toContain(found);
    expect(problem.hint).toContain("models.anthropic.models");
  });

  it("that are listed, Claude's own and the offline one have a provider", async () => {
    const text =
      "models: {defaultModel: glm, anthropic: {models: [glm]}}\nagents: {a: {model: claude-x}, b: {model: offline}}";
    expect((await load(text)).agents.get("main")?.model).toBe("anthropic/glm");
  });
});
