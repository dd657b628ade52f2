import { writeFile } from "node:fs/promises";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigError } from "./config-error.ts";
import { ConfigUnderTest } from "./config-under-test.fixture.ts";
import { loadConfig } from "./load-config.ts";

const on = new ConfigUnderTest();

describe("a wrong configuration", () => {
  it("names file, line, path and the key that was meant", async () => {
    const problem = await on.problemOf("agents:\n  main:\n    model: offline\n    modle: offline\n");
    expect(problem).toMatchObject({
      path: "agents.main.modle",
      hint: "Did you mean `model`?",
      source: { from: "file", file: path.join(on.cwd, "atoll.yaml"), line: 4, column: 5 },
    });
    expect(problem.expected).toContain("displayName, description, model");
  });

  it("reports all problems at once", async () => {
    const { problems, message } = await on.failureOf("lisen: x\nruns: {leaseTtlMs: soon}\nlog: 5\nagents: [a]\n");
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
    const problem = await on.problemOf(text);
    expect(problem.path).toBe(at);
    expect(problem.found).toContain(found);
    expect(problem.expected).toContain(expected);
  });

  it("refuses a file that is too large, too deep or not text", async () => {
    expect((await on.problemOf("#".repeat(4 * 1024 * 1024 + 1))).expected).toBe("at most 4194304");
    expect((await on.failureOf("[".repeat(20_000))).problems.length).toBeLessThanOrEqual(3);
    const deep = await on.failureOf(`data: ${"[".repeat(33)}${"]".repeat(33)}`);
    expect(deep.problems[0]?.expected).toBe("at most 32 levels");
    await writeFile(path.join(on.cwd, "latin"), Buffer.from([0x61, 0xe9, 0x62]));
    expect(() => loadConfig({ cwd: on.cwd, env: { ATOLL_CONFIG: "latin" } })).toThrow(/not UTF-8/);
    await writeFile(path.join(on.cwd, "half"), Buffer.from([0xff, 0xfe, 0x41]));
    expect(() => loadConfig({ cwd: on.cwd, env: { ATOLL_CONFIG: "half" } })).toThrow(/not UTF-16/);
  });

  it("is not blown up by aliases", async () => {
    const levels = Array.from({ length: 9 }, (_, level) => {
      const items = Array.from({ length: 9 }, () => (level === 0 ? "x" : `*a${level - 1}`));
      return `a${level}: &a${level} [${items.join(", ")}]`;
    });
    const problems = (await on.failureOf(levels.join("\n"))).problems;
    expect(problems).toHaveLength(9);
    const many = `agents: {main: &m {}, ${Array.from({ length: 200 }, (_, index) => `a${index}: *m`).join(", ")}}`;
    expect((await on.problemOf(many)).expected).toBe("at most 100");
  });

  it("reads honest anchors", async () => {
    const config = await on.load("agents:\n  main: &base {maxSteps: 5}\n  other: *base\n");
    expect(config.agents.get("other")?.maxSteps).toBe(5);
  });

  it("never shows a secret", async () => {
    const { message } = await on.failureOf(`models: {anthropic: {apiKey: [s3cret], baseUrl: "ftp://me:s3cret@h"}}`);
    expect(message).not.toMatch(/s3cret/);
    expect((await on.failureOf(`models: {anthropic: {apiKey: ${"s3cret".repeat(999)}}}`)).message).not.toContain(
      "s3cret",
    );
  });

  it("shows control characters in its message as text", async () => {
    const { message } = await on.failureOf('"a\\u001b[31m\\u202e": 1');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
    expect(message).not.toMatch(/[\u001b\u202e]/);
  });

  it("never fails in another way, whatever the file holds", async () => {
    const file = path.join(on.cwd, "any");
    const options = { cwd: on.cwd, env: { ATOLL_CONFIG: file } };
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
