// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these texts are what people write into configurations
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { describeWarning } from "../config-warning.ts";
import { type LoadConfigOptions, loadConfig } from "../load-config.ts";
import { redactConfig } from "../redact-config.ts";

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(path.join(tmpdir(), "atoll-servers-"));
});
afterEach(async () => {
  await rm(cwd, { recursive: true });
});

async function load(text: string, env: LoadConfigOptions["env"] = {}, file = "atoll.yaml") {
  await writeFile(path.join(cwd, file), text);
  const config = loadConfig({ cwd, env: { HOME: "/home/me", ...env }, terminal: false, flags: { config: file } });
  const warnings = config.warnings.map(({ path: at, text: words }) => `${at}: ${words}`);
  return { config, servers: config.mcpServers, warnings };
}

/** The server `a` of a file with it and a sound one beside it, which must stay sound. */
async function serverOf(entry: string, env: LoadConfigOptions["env"] = {}) {
  const { servers, warnings } = await load(`mcpServers:\n  a: ${entry}\n  sound: {command: node}\n`, env);
  expect(servers.get("sound")).toMatchObject({ disabled: false, problem: "" });
  const server = servers.get("a");
  if (server === undefined) throw new Error("there is no server a");
  return { server, warnings };
}

describe("the folder that a server starts in", () => {
  it(`is the folder of the file, also for the README's own example ${verifies("FC1")}`, async () => {
    const readme = `mcpServers:\n  files:\n    command: npx\n    args: ["-y", "@modelcontextprotocol/server-filesystem", "workspace"]\n`;
    expect((await load(readme)).servers.get("files")).toMatchObject({
      cwd,
      args: ["-y", expect.anything(), "workspace"],
    });
    await mkdir(path.join(cwd, "deep", "er"), { recursive: true });
    const deeper = await load(readme, {}, "deep/er/some.yaml");
    expect(deeper.servers.get("files")).toMatchObject({ cwd: path.join(cwd, "deep", "er") });
  });

  it.each([
    ["{command: x, cwd: .}", ""],
    ["{command: x, cwd: ./sub/}", "sub"],
    ["{command: x, cwd: ../beside}", "../beside"],
    ["{command: ./run.sh, cwd: '${workspaceFolder}/sub'}", "sub"],
    ["{command: x, workingDirectory: sub}", "sub"],
  ])(`is what cwd says, from there: %s ${verifies("FC1")}`, async (entry, folder) => {
    expect((await serverOf(entry)).server).toMatchObject({ cwd: path.join(cwd, folder), problem: "" });
  });

  it(`is the project, for a file in a program's own folder of it ${verifies("FC1")}`, async () => {
    for (const folder of [".vscode", ".cursor", ".kiro/settings"]) {
      await mkdir(path.join(cwd, folder), { recursive: true });
      const text = `{"mcpServers": {"a": {"command": "x", "args": ["\${workspaceFolder}/y"]}}}`;
      const { servers } = await load(text, {}, `${folder}/mcp.json`);
      expect(servers.get("a")).toMatchObject({ cwd, args: [path.join(cwd, "y")] });
    }
  });

  it(`is the workspace for the built-in server alone, and the start's folder without a file ${verifies("FC1")}`, async () => {
    const { servers } = await load("mcpServers: {filesystem: {}, files: {command: x}}");
    expect(servers.get("filesystem")).toMatchObject({ cwd: path.join(cwd, "workspace"), problem: "" });
    expect(servers.get("files")).toMatchObject({ cwd });
    const { mcpServers } = loadConfig({ cwd: "/", env: {}, terminal: false });
    expect(mcpServers.get("filesystem")).toMatchObject({ cwd: "/workspace" });
  });
});

describe("variables", () => {
  const env = { KEY: "k3y", EMPTY: "", PORT: "8080", NESTED: "${KEY}" };

  it.each([
    ["{url: 'https://h/${KEY}/mcp?k=${env:KEY}'}", { url: "https://h/k3y/mcp?k=k3y" }],
    [
      "{command: '${KEY}', args: ['--port=${PORT}', '${KEY}${PORT}']}",
      { command: "k3y", args: ["--port=8080", "k3y8080"] },
    ],
    [
      "{command: x, env: {A: '${NO:-dflt}', B: '${EMPTY:-d}', C: '${EMPTY-d}', D: '${NO:-}'}}",
      { env: { A: "dflt", B: "d", C: "", D: "" } },
    ],
    ["{command: x, env: {A: '${NO:-${KEY}-${NO2:-z}}'}}", { env: { A: "k3y-z" } }],
    ["{command: x, env: {A: '${NESTED}', B: '$5 $ {}'}}", { env: { A: "${KEY}", B: "$5 $ {}" } }],
    [
      "{url: 'http://h', headers: {A: 'Bearer {env:KEY}', B: '${{ secrets.KEY }}'}}",
      { headers: { A: "Bearer k3y", B: "k3y" } },
    ],
    [
      "{command: '${userHome}/bin/x', args: ['${HOME}', '${pathSeparator}']}",
      { command: "/home/me/bin/x", args: ["/home/me", path.sep] },
    ],
    ["{command: x, cwd: '${HOME}/${NO:-w}'}", { cwd: "/home/me/w" }],
  ])(`are put in wherever they stand: %s ${verifies("FC2")}`, async (entry, expected) => {
    const { server, warnings } = await serverOf(entry, env);
    expect(server).toMatchObject({ ...expected, disabled: false, problem: "" });
    expect(warnings).toEqual([]);
  });

  it.each([
    ["{command: x, env: {T: 'a${NOWHERE}'}}", "env.T", "it needs the variable NOWHERE, which is not set"],
    ["{url: 'http://h/${NOWHERE}'}", "url", "it needs the variable NOWHERE, which is not set"],
    ["{url: 'http://h', headers: {A: '${env:NOWHERE}'}}", "headers.A", "it needs the variable NOWHERE"],
    ["{command: '${NOWHERE}/x'}", "command", "it needs the variable NOWHERE"],
    ["{command: x, args: [a, '${NOWHERE}']}", "args[1]", "it needs the variable NOWHERE"],
    ["{command: x, cwd: '${NOWHERE}'}", "cwd", "it needs the variable NOWHERE"],
    ["{command: x, env: {T: '${toString}'}}", "env.T", "it needs the variable toString"],
    ["{command: x, env: {T: '${input:api-key}'}}", "env.T", "an answer to the question `api-key`"],
    ["{command: x, env: {T: '${a b}'}}", "env.T", "it holds `${a b}`, which names no variable"],
    ["{command: x, env: {T: '${KEY'}}", "env.T", "a `${` without its `}`"],
    ["{command: x, env: {T: '{file:~/.key}'}}", "env.T", "which is not read"],
    ["{command: x, args: ['${NO:-${NOWHERE}}']}", "args[0]", "it needs the variable NOWHERE"],
    ["{command: x, env_keys: [NOWHERE]}", "env.NOWHERE", "it needs the variable NOWHERE"],
  ])(`that are missing switch off that server, by name: %s ${verifies("FC2", "F1")}`, async (entry, key, text) => {
    const { server, warnings } = await serverOf(entry, env);
    expect(server.disabled).toBe(true);
    expect(server.problem).toContain(`\`${key}\`: `);
    expect(server.problem).toContain(text);
    expect(warnings).toEqual([expect.stringContaining(`mcpServers.a.${key}: it `)]);
    expect(warnings[0]).toMatch(/the server is switched off$/);
  });

  it(`may be missing of a server that a person switched off ${verifies("FC2")}`, async () => {
    const { server, warnings } = await serverOf("{command: x, disabled: true, env: {T: '${NOWHERE}'}}");
    expect(server).toMatchObject({ disabled: true, problem: "", env: { T: "${NOWHERE}" } });
    expect(warnings).toEqual([]);
  });

  it(`without braces are left as they are, and told ${verifies("FC2")}`, async () => {
    const { server, warnings } = await serverOf("{command: x, env: {T: 'a $KEY', U: $NONE}}", env);
    expect(server).toMatchObject({ env: { T: "a $KEY", U: "$NONE" }, problem: "" });
    expect(warnings).toEqual([expect.stringMatching(/^mcpServers\.a\.env\.T: a `\$` without braces/)]);
  });

  it(`come from a file that the server names ${verifies("FC2")}`, async () => {
    await writeFile(path.join(cwd, ".env"), "# keys\nA=1\nexport B='two # words'\r\nC=${KEY}\n");
    const { server } = await serverOf("{command: x, envFile: '${workspaceFolder}/.env', env: {A: 9}}", env);
    expect(server).toMatchObject({ env: { A: "9", B: "two # words", C: "${KEY}" }, problem: "" });
    const missing = await serverOf("{command: x, envFile: none.env}");
    expect(missing.server.problem).toMatch(/`envFile`: .*none\.env is not there/);
  });

  it(`never show what they put in ${verifies("FC2")}`, async () => {
    const text = `mcpServers:
  a: {command: 'run \${KEY}', args: ['\${KEY}', '--k=\${KEY}'], env: {A: '\${KEY}'}}
  b: {url: '\${KEY}', headers: {A: "\${KEY}\\n"}}
  c: {url: 'http://h/\${KEY}', headers: {A: '\${KEY}'}}
  d: {command: [k3y], env: {A: {k3y: 1}, "a=b": k3y}, headers: [k3y], timeout: k3y, apiKey: k3y}`;
    const { config } = await load(text, env);
    expect(config.mcpServers.get("c")).toMatchObject({ url: "http://h/k3y" });
    expect(config.warnings.map(describeWarning).join("\n")).not.toContain("k3y");
    expect([...config.mcpServers.values()].map(({ problem }) => problem).join()).not.toContain("k3y");
    const shown = redactConfig(config).mcpServers;
    expect(
      JSON.stringify({ ...shown, d: undefined }, (_, value: unknown) => (typeof value === "bigint" ? 0 : value)),
    ).not.toContain("k3y");
  });
});

describe("a server that can't be used", () => {
  it.each([
    ["{command: x, url: 'http://h'}", /both `command` and `url`/],
    ["{}", /neither `command` nor `url`/],
    ["", /neither `command` nor `url`/],
    ["text", /not a map/],
    ["[x]", /not a map/],
    ["{url: 'ftp://h'}", /"ftp:\/\/h" is not an http/],
    ["{url: 'http://h', type: stdio}", /not reached over stdio/],
    ["{command: x, type: http}", /needs a `url`/],
    ["{command: x, type: websocket}", /WebSocket is not spoken/],
    ["{command: x, type: pigeon}", /no transport of this name/],
    ["{command: {a: [1]}}", /neither `command` nor `url`/],
    ["{command: x, args: {a: 1}}", /found a map, expected a list/],
    ["{command: x, env: [nothing]}", /found a list, expected a map/],
    ["{command: x, env: {A: {b: 1}}}", /expected text/],
    ["{command: x, env: {__proto__: y}}", /a name that can't be used/],
    ["{command: x, disabled: maybe}", /expected true or false/],
    ["{command: x, startTimeoutMs: 300001}", /300001, expected a whole number from 1 to 300000/],
    ["{command: 'npx y | tee log'}", /only a shell can do/],
    ["{command: x, args: 'a \"b'}", /without its partner/],
    ["{command: ~them/x}", /another user's home/],
    ["{command: x, cwd: ~them}", /another user's home/],
    ["{url: 'http://h', headers: {X: \"a\\r\\nB: c\"}}", /HTTP does not allow its value/],
    ["{url: 'http://h', headers: {'a b': c}}", /does not allow this name/],
  ])(`is switched off alone, and says why: %s ${verifies("F1", "FC3")}`, async (entry, problem) => {
    const { server, warnings } = await serverOf(entry);
    expect(server.disabled).toBe(true);
    expect(server.problem).toMatch(problem);
    expect(warnings.some((warning) => problem.test(warning))).toBe(true);
  });

  it(`is not one for keys that every object has ${verifies("F1", "FC3")}`, async () => {
    const { server, warnings } = await serverOf(
      "{command: x, constructor: y, __proto__: {command: z}, to_string: 1, type: constructor}",
    );
    expect(server).toMatchObject({
      command: "x",
      disabled: true,
      problem: expect.stringMatching(/no transport of this name/),
    });
    expect(warnings.filter((each) => each.includes("not known and not used"))).toHaveLength(3);
  });

  it(`does not stop the start, and a wrong key beside the servers does ${verifies("F1", "FC3")}`, async () => {
    await expect(load("mcpServers: {a: {}}\nlisen: x")).rejects.toThrow(/lisen: .*does not exist/);
    await expect(load("mcpServers: {a: {}}\nlisen: x", {}, "other.yaml")).resolves.toBeDefined();
    await expect(load("mcpServers: {a: {}}\nlog: {level: info}\nlisen: x", {}, "other.yaml")).rejects.toThrow(/lisen/);
  });
});

describe("names", () => {
  it(`become legal and unique, whatever their order, and stay as titles ${verifies("FC3")}`, async () => {
    const written = [
      "ok",
      "my server",
      "my.server",
      "my-server",
      "@scope/pkg",
      "文件",
      "Wörter",
      "x".repeat(70),
      "constructor",
      "",
      " ",
    ];
    const read = async (names: readonly string[]) => {
      const { servers } = await load(
        JSON.stringify({ mcpServers: Object.fromEntries(names.map((n) => [n, { command: "x" }])) }),
      );
      return Object.fromEntries([...servers.values()].map(({ name, title }) => [title || name, name]));
    };
    const names = await read(written);
    expect(names).toMatchObject({ ok: "ok", "my-server": "my-server", "@scope/pkg": "scope-pkg", Wörter: "Worter" });
    expect(new Set(Object.values(names)).size).toBe(written.length);
    for (const name of Object.values(names)) expect(name).toMatch(/^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$/);
    expect(names["my server"]).toMatch(/^my-server-[0-9a-f]{6}$/);
    expect(names["文件"]).toMatch(/^server-[0-9a-f]{6}$/);
    expect(await read(written.toReversed())).toEqual(names);
  });

  it(`that come twice: the last one counts, and it is told ${verifies("FC3")}`, async () => {
    const twice = await load(
      '{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y", "args": [], "args": ["z"]}}}',
    );
    expect(twice.servers.get("a")).toMatchObject({ command: "y", args: ["z"] });
    expect(twice.warnings).toEqual([
      "mcpServers.a: the key comes twice; the last one is used",
      "mcpServers.a.args: the key comes twice; the last one is used",
    ]);
    const places = await load("mcpServers: {a: {command: x}}\nservers: {a: {command: y}}");
    expect(places.servers.get("a")).toMatchObject({ command: "y" });
    expect(places.warnings).toEqual(["mcpServers.a: another server has this name; servers.a is used"]);
  });

  it(`are at most 256 ${verifies("FC3", "F4")}`, async () => {
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`s${index}`, { command: "x" }]));
    const { servers, warnings } = await load(JSON.stringify({ mcpServers: many }));
    expect(servers.size).toBe(256);
    expect(warnings).toEqual([expect.stringMatching(/^mcpServers\.s256: .*at most 256/)]);
  });
});

describe("tildes", () => {
  it.each([
    ["{command: ~/bin/x}", { command: "/home/me/bin/x" }],
    ["{command: x, args: [~/a, -r, ~them, a~/b, '~']}", { args: ["/home/me/a", "-r", "~them", "a~/b", "/home/me"] }],
    ["{command: x, cwd: ~/w}", { cwd: "/home/me/w" }],
    ["{command: x, cwd: '${NO:-~/w}'}", { cwd: "/home/me/w" }],
  ])(`at the beginning of a path are the home folder: %s ${verifies("FC4")}`, async (entry, expected) => {
    expect((await serverOf(entry)).server).toMatchObject({ ...expected, problem: "" });
  });
});
