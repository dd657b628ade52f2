// `doctor` never says ✓ of what does not work: it calls what it checks.
import { once } from "node:events";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { verifies } from "../requirements.ts";
import { startFakeAnthropic } from "../support/fake-anthropic/start-fake-anthropic.ts";
import { runCommand, startMeshProcess } from "../support/mesh-process.ts";

// Each test runs several commands, and each command is a start of Node on a machine that may be busy.
vi.setConfig({ testTimeout: 120_000 });

const probe = resolve(import.meta.dirname, "../support/mcp-probe-server.ts");
const config = `
listen: 127.0.0.1:0
agents:
  main: { tools: ["good.*", "good.nothing", "dead.*", "nobody.*", "My probe.echo", "ech*"] }
mcpServers:
  good: { command: ${JSON.stringify(process.execPath)}, args: [${JSON.stringify(probe)}] }
  My probe: { command: ${JSON.stringify(process.execPath)}, args: [${JSON.stringify(probe)}], includeTools: [nothing-of-it] }
  dead: { command: ${JSON.stringify(process.execPath)}, args: [-e, "console.error('no such database'); process.exit(3)"] }
  away: { url: "http://127.0.0.1:1/mcp" }
  unset: { command: x, env: { KEY: "\${NOT_SET_ANYWHERE}" } }
  off: { command: x, disabled: true }
  typo: { comand: x }
`;

const lines = [
  /^· .*atoll\.yaml:\S+ mcpServers\.unset\.env\.KEY: it needs the variable NOT_SET_ANYWHERE.*switched off\.$/m,
  /^· .*mcpServers\.typo\.comand: this key is not known.*did you mean `command`/m,
  /^✓ server good: answers, \d+ tools$/m,
  /^· server My-probe \(My probe\): answers, and has no tools that are used$/m,
  /^✗ server dead: .*no such database/m,
  /^✗ server away: .*(ECONNREFUSED|fetch failed|127\.0\.0\.1:1)/m,
  /^✗ server unset: switched off: `env\.KEY`: it needs the variable NOT_SET_ANYWHERE/m,
  /^· server off: switched off$/m,
  /^✗ server typo: switched off: it has neither `command` nor `url`/m,
  /^✗ agent main: no tool matches "good\.nothing"/m,
  /^· agent main: no tool matches "dead\.\*", as far as can be told while dead does not run/m,
  /^✗ agent main: no tool matches "nobody\.\*": there is no server nobody/m,
  /^✗ agent main: no tool matches "My probe\.echo": the server is named My-probe here/m,
];

/** An address where nobody listens. */
async function closedPort(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  await new Promise((done) => server.close(done));
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "atoll-truth-"));
  return () => rmSync(folder, { recursive: true, force: true });
});

describe("doctor and MCP servers", () => {
  test(`on a stopped mesh each server is started, and what does not work is said ${verifies("FC2", "FC3", "F1")}`, async () => {
    writeFileSync(join(folder, "atoll.yaml"), config);
    const { code, output, errors } = await runCommand(["doctor"], folder);
    for (const line of lines) expect(output).toMatch(line);
    expect(output).toMatch(/^· port: 127\.0\.0\.1:0 takes a free one/m);
    expect(output).not.toMatch(/^✓ server (dead|away|unset|off|typo)/m);
    expect(output).not.toMatch(/good\.\*/);
    expect(code).toBe(1);
    expect(errors).not.toMatch(/\n\s+at /);
  });

  test(`on a running mesh the mesh is asked, and says the same ${verifies("FC2", "F1")}`, async () => {
    const mesh = await startMeshProcess({ folder, config });
    try {
      await expect
        .poll(async () => (await runCommand(["doctor"], folder)).output, { timeout: 60_000 })
        .toMatch(lines[4] as RegExp);
      const { code, output } = await runCommand(["doctor"], folder);
      for (const line of lines) expect(output).toMatch(line);
      expect(output).toMatch(new RegExp(`^✓ mesh \\S+ at ${mesh.url}`, "m"));
      expect(output).not.toMatch(/^✓ server (dead|away|unset|off|typo)/m);
      expect(code).toBe(1);
      // The start itself names them, too: as log lines, and once for whoever started it.
      expect(mesh.log()).toContain(
        "it needs the variable NOT_SET_ANYWHERE, which is not set; the server is switched off",
      );
    } finally {
      await mesh.stop();
    }
  });

  test("--json says each finding as an object, and the exit code is the same", async () => {
    writeFileSync(
      join(folder, "atoll.yaml"),
      "mcpServers: { off: { command: x, disabled: true } }\nlisten: 127.0.0.1:0\n",
    );
    const { code, output } = await runCommand(["doctor", "--json"], folder);
    const findings = output
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(code).toBe(0);
    expect(findings.every((each) => ["ok", "note", "wrong"].includes(String(each["verdict"])))).toBe(true);
    expect(findings).toContainEqual({ check: "server", verdict: "note", text: "server off: switched off" });
  });
});

describe("doctor and models", () => {
  const quiet = "listen: 127.0.0.1:0\nmcpServers: { off: { command: x, disabled: true } }\n";

  test("a model is ✓ when its address takes the key and has it", async () => {
    const fake = await startFakeAnthropic({ apiKey: "right" });
    try {
      writeFileSync(
        join(folder, "atoll.yaml"),
        `${quiet}agents: { main: { model: claude-haiku-4-5 }, other: { model: made-up } }\nmodels: { anthropic: { models: [made-up] } }\n`,
      );
      const ask = (key: string, url = fake.url) =>
        runCommand(["doctor"], folder, { ANTHROPIC_API_KEY: key, ANTHROPIC_BASE_URL: url });
      const right = await ask("right");
      expect(right.output).toMatch(
        /^✓ model anthropic\/claude-haiku-4-5 \(main\): .* answers, takes the key and has it$/m,
      );
      expect(right.output).toMatch(/^✗ model anthropic\/made-up \(other\): .* no model of this name$/m);
      const wrong = await ask("wrong");
      expect(wrong.output).toMatch(/^✗ model anthropic\/claude-haiku-4-5 \(main\): .* refuses the key \(401\)$/m);
      const dead = await ask("right", await closedPort());
      expect(dead.output).toMatch(
        /^✗ model anthropic\/claude-haiku-4-5 \(main\): .* is not reachable \(ECONNREFUSED\)$/m,
      );
      expect([right.code, wrong.code, dead.code]).toEqual([1, 1, 1]);
      expect(right.output + wrong.output).not.toMatch(/\bright\b|\bwrong\b.*key.*wrong/);
    } finally {
      await fake.close();
    }
  });

  test(`a model without a provider, or without its key, stops the start and is named by doctor ${verifies("L9")}`, async () => {
    writeFileSync(join(folder, "atoll.yaml"), `${quiet}models: { defaultModel: gpt-made-up }\n`);
    const up = await runCommand(["up"], folder);
    expect(up.code).toBe(2);
    expect(up.errors).toMatch(
      /atoll\.yaml:3:\d+: models\.defaultModel: found "gpt-made-up", which no provider serves, expected offline/,
    );
    const doctor = await runCommand(["doctor"], folder);
    expect(doctor.code).toBe(1);
    expect(doctor.output).toMatch(/✗ .*[\s\S]*models\.defaultModel/);

    writeFileSync(join(folder, "atoll.yaml"), `${quiet}agents: { coder: { model: claude-haiku-4-5 } }\n`);
    const keyless = await runCommand(["up"], folder);
    expect(keyless.code).toBe(2);
    expect(keyless.errors).toMatch(
      /agents\.coder\.model: found "anthropic\/claude-haiku-4-5" and no key for it, expected a key in ANTHROPIC_API_KEY/,
    );
    expect((await runCommand(["doctor"], folder)).output).toMatch(
      /^✗ model anthropic\/claude-haiku-4-5 \(coder\): there is no key/m,
    );
  });
});

describe("doctor, folders and the port", () => {
  test("a port that another program has is ✗, and that program is sent nothing", async () => {
    const seen: Buffer[] = [];
    const stranger = createServer((socket) =>
      socket.on("data", (chunk) => seen.push(chunk)).on("error", () => undefined),
    );
    stranger.listen(0, "127.0.0.1");
    await once(stranger, "listening");
    const address = stranger.address();
    const port = typeof address === "object" ? address?.port : 0;
    const text = `listen: 127.0.0.1:${port}\nmcpServers: { off: { command: x, disabled: true } }\n`;
    writeFileSync(join(folder, "atoll.yaml"), text);
    mkdirSync(join(folder, ".atoll"), { mode: 0o700 });
    writeFileSync(join(folder, ".atoll", "token"), `atl_${"a".repeat(43)}\n`, { mode: 0o600 });
    const { code, output } = await runCommand(["doctor"], folder);
    stranger.close();
    expect(output).toMatch(
      new RegExp(`^✗ port: another program listens at 127\\.0\\.0\\.1:${port}: choose another`, "m"),
    );
    expect(code).toBe(1);
    expect(Buffer.concat(seen).toString()).toBe("");
  });

  test(`folders that reach into each other are ✗, and stop the start before anything is made ${verifies("E9")}`, async () => {
    writeFileSync(
      join(folder, "atoll.yaml"),
      "workspace: .\nlisten: 127.0.0.1:0\nmcpServers: { off: { command: x, disabled: true } }\n",
    );
    const doctor = await runCommand(["doctor"], folder);
    expect(doctor.output).toMatch(/^✗ data folder: .*agents could read the mesh's token and keys.*--data, ATOLL_DATA/m);
    expect(doctor.code).toBe(1);
    const up = await runCommand(["up"], folder);
    expect(up.code).toBe(1);
    expect(up.errors).toMatch(
      /overlap: agents could read the mesh's token and keys.*--data, ATOLL_DATA or `data` in the file/,
    );
    const part = await runCommand(["serve", "--services=session", "--listen", "127.0.0.1:0"], folder);
    expect(part.code).toBe(1);
  });

  test(`a data folder of another user, or that everybody could replace, is ✗ and stops the start ${verifies("E19")}`, async () => {
    writeFileSync(
      join(folder, "atoll.yaml"),
      "listen: 127.0.0.1:0\nmcpServers: { off: { command: x, disabled: true } }\n",
    );
    const shared = join(folder, "shared");
    mkdirSync(join(shared, "data"), { recursive: true, mode: 0o700 });
    if (process.geteuid?.() === 0) {
      chownSync(join(shared, "data"), 65_534, 65_534);
      const refused = /shared\/data belongs to another user of this machine/;
      const up = await runCommand(["up", "--data", join(shared, "data")], folder);
      expect(up.errors).toMatch(refused);
      expect(up.code).toBe(1);
      expect((await runCommand(["doctor", "--data", join(shared, "data")], folder)).output).toMatch(refused);
      chownSync(join(shared, "data"), 0, 0);
    }
    chmodSync(shared, 0o777);
    const up = await runCommand(["up", "--data", join(shared, "data")], folder);
    expect(up.errors).toMatch(/Everybody on this machine could put another folder in the place of .*chmod o-w/);
    expect(up.code).toBe(1);
    const doctor = await runCommand(["doctor", "--data", join(shared, "data")], folder);
    expect(doctor.output).toMatch(/^✗ data folder: Everybody on this machine/m);
    expect(doctor.code).toBe(1);
  });
});

test(`the link of an administrator goes to terminals alone ${verifies("E19")}`, async () => {
  const mesh = await startMeshProcess({
    folder,
    config: "mcpServers: { off: { command: x, disabled: true }, bad: {} }\n",
  });
  try {
    const output = () => mesh.processes[0]?.output();
    // What it says last.
    await expect.poll(output).toMatch(/configuration: 1 warning\n.*mcpServers\.bad: it has neither/);
    expect(output()).toContain("SendMessage");
    expect(output()).not.toContain("#code=");
    expect(output()).toMatch(/token --link/);
  } finally {
    await mesh.stop();
  }
});
