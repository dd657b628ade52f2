/**
 * Every command of README.md, run as it is written, in a fresh checkout; those of the package are in
 * readme-package.test.ts. What is put in another's place: the ports (others may have them) and `ses_…`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { loadConfig } from "../../services/kernel/config/load-config.ts";
import { repository } from "../support/source-files.ts";
import { askedCommands, command, isYaml, readmeBlocks, readmeCommands } from "./readme-commands.fixture.ts";
import { copyCheckout, findFreePort, makeFolder, type RunningShell, runShell, startShell } from "./shell.fixture.ts";

/** npm installs and builds, and the machine may be busy. */
const timeout = 1_200_000;

/** What is not run, and why. */
const exempt: Readonly<Record<string, string>> = {
  "npm ci && npm test": "this test is a part of it",
  "ANTHROPIC_API_KEY=": "needs a key, and asks the real API",
  "npm pack": "readme-package.test.ts runs it",
  "npm install /path/to/": "readme-package.test.ts runs it",
  "npm run chaos --": "five minutes, and .ci/run runs it",
  "npm run chaos:selftest": "fifteen rounds of chaos",
  "npm run faults": "400 starts under strace",
  "npm run attacks": "attacks that take the whole machine for minutes",
  "ATOLL_FUZZ_RUNS=": "ten thousand conversations; npm test has a hundred",
};

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
    const schema = await type(readmeCommands.find((each) => /^npx --no atoll tools \S+ +#/.test(each)) ?? "false");
    expect([schema.code, schema.output]).toEqual([0, expect.stringContaining('"path"')]);
    askedCommands.add(readmeCommands.find((each) => /^npx --no atoll tools \S+ +#/.test(each)) ?? "");
    expect((await type(command("npx --no atoll tools filesystem.list_directory --call"))).output).toContain("notes.md");

    expect(await type(command("npx --no atoll export agent:main:cli >"))).toMatchObject({ code: 0 });
    expect(readFileSync(join(checkout.path, "conversation.jsonl"), "utf8")).toContain('"firstSeq":"1"');
    expect(await type(command("npx --no atoll export agent:main:cli --format"))).toMatchObject({ code: 0 });
    expect(readFileSync(join(checkout.path, "conversation.md"), "utf8")).toContain("# First steps");

    const variables = ["TOKEN=", "URL=", "SESSIONS="].map(command).join("\n");
    const curlOf = (rpc: string) => {
      const found = readmeCommands.filter((each) => each.startsWith("npx --no buf curl") && each.includes(rpc));
      expect(found, `the call of ${rpc}`).toHaveLength(1);
      askedCommands.add(found[0] ?? "");
      return `${variables}\n${found[0]}`;
    };
    const sent = await type(curlOf("/SendMessage"));
    expect(sent.output).toMatch(/"sessionId":\s*"ses_/);
    const session = /ses_\w+/.exec(sent.output)?.[0] ?? "";
    // Both go on until they are ended.
    for (const [rpc, heard] of [
      ["/Subscribe", /runFinished/],
      ["/Chat", /opened[\s\S]*events/],
    ] as const) {
      const stream = start(curlOf(rpc).replaceAll("ses_…", session));
      await stream.until(heard);
      await stream.interrupt();
    }
    const found = await type(curlOf("/ListSessions"));
    expect([found.code, found.shown]).toEqual([0, expect.any(String)]);
    expect((await type(curlOf("/ForkSession"), session)).output).toContain(session);
    expect((await type(curlOf("/ResetSession"), session)).output).toContain(session);

    expect(await mesh.interrupt()).toMatchObject({ shown: expect.stringContaining("ready") });
  });

  test("the services start in processes of their own", async () => {
    const serving = readmeCommands.filter((each) => each.startsWith("npx --no atoll serve"));
    expect(serving).toHaveLength(4);
    for (const each of serving) {
      askedCommands.add(each);
      await start(each).until(/ready at http/);
    }
    expect(await type("npx --no atoll chat 'hello'")).toMatchObject({ code: 0 });
  });

  test("the configuration that it shows is one", () => {
    const [yaml] = readmeBlocks.filter(({ text }) => isYaml(text));
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
    const left = readmeCommands.filter(
      (each) => !askedCommands.has(each) && !Object.keys(exempt).some((known) => each.startsWith(known)),
    );
    expect(left).toEqual([]);
    for (const known of Object.keys(exempt))
      expect(
        readmeCommands.some((each) => each.startsWith(known)),
        known,
      ).toBe(true);
    const text = readFileSync(join(repository, "README.md"), "utf8");
    // An argument of a configuration is no command of ours.
    expect(text.match(/npx (?!--no |runs )\S+/g) ?? []).toEqual([]);
  });
});
