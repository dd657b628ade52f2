/**
 * Every command of README.md, run as it is written, in a fresh checkout and in an empty folder with the packed package. What
 * is put in another's place: the ports (others may have them), `ses_…` and `/path/to`.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { loadConfig } from "../../services/kernel/config/load-config.ts";
import { repository } from "../support/source-files.ts";
import { readBlocks, readCommands } from "./readme-commands.fixture.ts";
import { copyCheckout, findFreePort, makeFolder, type RunningShell, runShell, startShell } from "./shell.fixture.ts";

/** npm installs and builds, and the machine may be busy. */
const timeout = 1_200_000;

/** What is not run, and why. */
const exempt: Readonly<Record<string, string>> = {
  "npm ci && npm test": "this test is a part of it",
  "ANTHROPIC_API_KEY=": "needs a key, and asks the real API",
  "npm run chaos --": "five minutes, and .ci/run runs it",
  "npm run chaos:selftest": "fifteen rounds of chaos",
  "npm run faults": "400 starts under strace",
  "ATOLL_FUZZ_RUNS=": "ten thousand conversations; npm test has a hundred",
};

const blocks = readBlocks();
const commands = blocks
  .filter(({ language }) => language === "")
  .flatMap(({ text }) => (isYaml(text) ? [] : readCommands(text)));
const run = new Set<string>();

function isYaml(text: string): boolean {
  return text.startsWith("agents:");
}

/** The command of README.md that begins so; the test fails when it is not there, or not alone. */
function command(beginning: string): string {
  const found = commands.filter((each) => each.startsWith(beginning));
  expect(found, `the command of README.md that begins with ${beginning}`).toHaveLength(1);
  for (const each of found) run.add(each);
  return found[0] ?? "";
}

describe("README.md", { timeout }, () => {
  const checkout = makeFolder();
  const ports = new Map<string, number>();
  const shells: RunningShell[] = [];
  let env: Record<string, string> = {};

  const here = (text: string) => {
    let written = text;
    for (const [port, free] of ports) written = written.replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${free}`);
    return written;
  };
  const type = (text: string, session = "") => runShell(here(text).replaceAll("ses_…", session), checkout.path, env);
  const start = (text: string) => {
    const shell = startShell(here(text), checkout.path, env);
    shells.push(shell);
    return shell;
  };

  /** Ends what a test has started, in reverse order; also when it failed. */
  const endAll = async () => {
    for (const shell of shells.splice(0).toReversed()) await shell.interrupt();
  };

  afterEach(endAll, timeout);

  beforeAll(async () => {
    for (const port of ["18789", "18801", "18802", "18803"]) ports.set(port, await findFreePort());
    env = { ATOLL_LISTEN: `127.0.0.1:${ports.get("18789")}` };
    copyCheckout(checkout.path);
  }, timeout);

  afterAll(() => checkout.remove(), timeout);

  test("a checkout starts, answers, and everything that is printed or written works", async () => {
    const mesh = start(command("npm ci && npm start"));
    await mesh.until(/Atoll is ready at http:\S+[\s\S]*SendMessage/);
    expect(mesh.shown()).not.toContain("EBADENGINE");

    const answer = await type(command('npx --no atoll chat "which files'));
    expect([answer.code, answer.output]).toEqual([0, expect.stringContaining("This folder is the workspace")]);

    // What the mesh itself printed, letter by letter.
    const printed = /^ {2}chat {9}(.*)$/m.exec(mesh.shown())?.[1] ?? "";
    expect(await type(printed)).toMatchObject({
      code: 0,
      output: expect.stringContaining("This folder is the workspace"),
    });
    const curl = /^ {2}curl {9}((?:.*\\\n)+.*)$/m.exec(mesh.shown())?.[1] ?? "";
    expect((await type(curl)).output).toMatch(/"runId":\s*"run_/);

    expect(await type(command("cat README.md |"))).toMatchObject({ code: 0 });
    expect((await type(command("npx --no atoll sessions rename"))).output).toContain("First steps");
    expect(await type(command("npx --no atoll sessions search"))).toMatchObject({ code: 0 });
    const schema = await type(commands.find((each) => /^npx --no atoll tools \S+ +#/.test(each)) ?? "false");
    expect([schema.code, schema.output]).toEqual([0, expect.stringContaining('"path"')]);
    run.add(commands.find((each) => /^npx --no atoll tools \S+ +#/.test(each)) ?? "");
    expect((await type(command("npx --no atoll tools filesystem.list_directory --call"))).output).toContain("notes.md");

    expect(await type(command("npx --no atoll export agent:main:cli >"))).toMatchObject({ code: 0 });
    expect(readFileSync(join(checkout.path, "conversation.jsonl"), "utf8")).toContain('"firstSeq":"1"');
    expect(await type(command("npx --no atoll export agent:main:cli --format"))).toMatchObject({ code: 0 });
    expect(readFileSync(join(checkout.path, "conversation.md"), "utf8")).toContain("# First steps");

    const variables = ["TOKEN=", "URL=", "SESSIONS="].map(command).join("\n");
    const curlOf = (rpc: string) => {
      const found = commands.filter((each) => each.startsWith("npx --no buf curl") && each.includes(rpc));
      expect(found, `the call of ${rpc}`).toHaveLength(1);
      run.add(found[0] ?? "");
      return `${variables}\n${found[0]}`;
    };
    const sent = await type(curlOf("/SendMessage"));
    expect(sent.output).toMatch(/"sessionId":\s*"ses_/);
    const session = /ses_\w+/.exec(sent.output)?.[0] ?? "";
    const events = startShell(here(curlOf("/Subscribe")).replaceAll("ses_…", session), checkout.path, env);
    await events.until(/runFinished/);
    await events.interrupt();
    expect((await type(curlOf("/Chat"))).output).toContain("opened");
    expect(await type(curlOf("/ListSessions"))).toMatchObject({ code: 0 });
    expect((await type(curlOf("/ForkSession"), session)).output).toContain(session);
    expect((await type(curlOf("/ResetSession"), session)).output).toContain(session);

    expect(await mesh.interrupt()).toMatchObject({ shown: expect.stringContaining("ready") });
  });

  test("the services start in processes of their own", async () => {
    const serving = commands.filter((each) => each.startsWith("npx --no atoll serve"));
    expect(serving).toHaveLength(4);
    for (const each of serving) {
      run.add(each);
      await start(each).until(/ready at http/);
    }
    expect(await type("npx --no atoll chat 'hello'")).toMatchObject({ code: 0 });
  });

  test("the package works in an empty folder, from its commands and from a program", async () => {
    expect(await type(command("npm pack"))).toMatchObject({ code: 0 });
    expect(readdirSync(checkout.path).filter((name) => name.endsWith(".tgz"))).toEqual(["atoll-mesh-0.1.0.tgz"]);
    const empty = makeFolder();
    const typeThere = (text: string) => runShell(text.replaceAll("/path/to", checkout.path), empty.path);
    try {
      // Nothing is installed here yet: npx must refuse, not fetch what others have named so.
      expect(
        (await runShell("npx --no atoll chat hi", empty.path, { npm_config_cache: join(empty.path, "cache") })).code,
      ).not.toBe(0);
      expect(readdirSync(empty.path).filter((name) => name !== "cache")).toEqual([]);
      expect(await runShell("ls cache/_npx", empty.path)).toMatchObject({ output: "" });

      const installed = await typeThere(command("npm install /path/to/"));
      expect([installed.code, installed.shown]).toEqual([0, expect.not.stringContaining("EBADENGINE")]);
      const mesh = startShell("npx --no atoll up --listen 127.0.0.1:0 --data 'other data'", empty.path);
      try {
        await mesh.until(/Atoll is ready at/);
        const url = /ready at (\S+)/.exec(mesh.shown())?.[1] ?? "";
        const printed = /^ {2}chat {9}(.*)$/m.exec(mesh.shown())?.[1] ?? "false";
        expect(await typeThere(printed)).toMatchObject({ code: 0 });
        expect(await (await fetch(url)).text()).toContain("<script");
      } finally {
        await mesh.interrupt();
      }
      await expectProgramsToRun(empty.path);
    } finally {
      empty.remove();
    }
  });

  /** The README's own program, and one that uses what else the package has; both checked by tsc and run. */
  async function expectProgramsToRun(folder: string): Promise<void> {
    const programs = blocks.filter(({ language }) => language === "ts");
    expect(programs).toHaveLength(1);
    const source = join(folder, "source");
    mkdirSync(source);
    writeFileSync(join(source, "readme.ts"), programs[0]?.text ?? "");
    writeFileSync(join(source, "embed.ts"), readFileSync(join(import.meta.dirname, "embedding-program.txt"), "utf8"));
    const options = {
      ...{ module: "nodenext", target: "es2024", lib: ["es2025", "esnext.disposable", "dom"], strict: true },
      ...{ skipLibCheck: false, types: ["node"], typeRoots: [join(repository, "node_modules/@types")] },
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: options, include: ["source"] }));
    writeFileSync(join(source, "package.json"), '{"type":"module"}');
    const compiled = await runShell(`${join(repository, "node_modules/.bin/tsc")} -p tsconfig.json`, folder);
    expect([compiled.code, compiled.shown]).toEqual([0, ""]);
    expect((await runShell("node source/readme.js", folder)).output).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/m);
    const embedded = await runShell("node source/embed.js", folder);
    expect([embedded.code, embedded.output]).toEqual([0, "message,run Hello from the script.\n"]);
  }

  test("the configuration that it shows is one", () => {
    const [yaml] = blocks.filter(({ text }) => isYaml(text));
    const folder = makeFolder();
    try {
      writeFileSync(join(folder.path, "atoll.yaml"), yaml?.text ?? "");
      const config = loadConfig({ cwd: folder.path, env: { GITHUB_TOKEN: "made-up" } });
      expect([...config.mcpServers.keys()]).toEqual(expect.arrayContaining(["filesystem", "github"]));
    } finally {
      folder.remove();
    }
  });

  test("nothing that it tells people to type is left out, and nothing can fetch a stranger's program", () => {
    const left = commands.filter(
      (each) => !run.has(each) && !Object.keys(exempt).some((known) => each.startsWith(known)),
    );
    expect(left).toEqual([]);
    for (const known of Object.keys(exempt))
      expect(
        commands.some((each) => each.startsWith(known)),
        known,
      ).toBe(true);
    const text = readFileSync(join(repository, "README.md"), "utf8");
    // An argument of a configuration is no command of ours.
    expect(text.match(/npx (?!--no |runs )\S+/g) ?? []).toEqual([]);
  });
});
