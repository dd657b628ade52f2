/** The commands, as a person or a program uses them: what goes where, what is refused, what nobody can forge. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fromJsonString } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SessionSchema } from "../../gen/atoll/session/v1/session_pb.ts";
import { verifies } from "../requirements.ts";
import { text } from "../support/fake-anthropic/script.ts";
import { atollProgram, nodeFlags, runCommand } from "../support/mesh-process.ts";
import { type ScriptedMesh, startScriptedMesh } from "./scripted-mesh.fixture.ts";
import { answerAsAsked } from "./scripted-model.fixture.ts";

/** Each command is a process of its own, and the machine may be busy. */
const timeout = 240_000;
/** Hidden characters that are not line feeds or tabs. */
const hiddenIn = (text: string): string[] =>
  text.replace(/[\n\t]/g, "").match(/[\p{Cc}\u061c\u200b\u2028\u202e\u{e0041}]/gu) ?? [];
const hostile =
  "fine\n        9  2026-01-01T00:00:00.000+00:00  → shell.exec {}\r\nses_forged\u2028x\u202ey\u200bz\u061c\u{e0041}\u009b2J";
const readable = "👩‍👩‍👧 ❤️ 粗体文字 שלום السلام می‌خواهم";

describe("the command line", { timeout }, () => {
  let scripted: ScriptedMesh;
  const run = (...args: string[]) => runCommand(args, scripted.mesh.folder);
  const sessionsNow = async () => (await run("sessions", "--json")).output.trimEnd().split("\n").length;

  /** With something on standard input. */
  function pipe(input: string, shell: string) {
    const { ANTHROPIC_API_KEY: _key, ...env } = process.env;
    const atoll = `'${process.execPath}' ${nodeFlags.join(" ")} '${atollProgram}'`;
    const child = spawn("bash", ["-c", `set -o pipefail; ${shell.replaceAll("atoll", atoll)}`], {
      ...{ cwd: scripted.mesh.folder, env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    child.stdin.on("error", () => undefined).end(input);
    const shown = { output: "", errors: "" };
    child.stdout.on("data", (part) => (shown.output += String(part)));
    child.stderr.on("data", (part) => (shown.errors += String(part)));
    return new Promise<typeof shown & { code: number }>((settle) => {
      child.once("close", (code) => settle({ ...shown, code: code ?? -1 }));
    });
  }

  beforeAll(async () => {
    scripted = await startScriptedMesh({});
    expect((await run("chat", "hello")).code).toBe(0);
  }, timeout);

  afterAll(async () => {
    await scripted?.stop();
  });

  test.each([
    [["sesions"], "did you mean `atoll sessions`?"],
    [["frobnicate"], "there are up, serve, chat"],
    [["chat", "--jsn", "hi"], "did you mean --json?"],
    [["sessions", "--after", "3"], "atoll sessions takes no --after; it takes"],
    [["chat", "--to"], "--to needs a value: --to SESSION"],
    [["chat", "--json=yes", "hi"], "--json takes no value"],
    [["tail", "a", "b"], 'atoll tail takes no "b"'],
    [["tail", "--after", "-1"], "--after"],
    [["chat", "--to", "x", "--new", "hi"], "give one of them"],
    [["sessions", "renam", "x"], "did you mean `atoll sessions rename`?"],
    [["sessions", "--url", "ftp://x"], "--url must be the address of a mesh"],
    [["tools", "filesystem.list_directory", "--call", "[]"], "--call must be a JSON object"],
  ])("%j is refused with what is meant", async (args, words) => {
    const { code, output, errors } = await run(...args);
    expect([code, output]).toEqual([2, ""]);
    expect(errors).toContain(words);
    expect(errors.trimEnd().split("\n")).toHaveLength(1);
  });

  test("help is a result; without a command it is none", async () => {
    const all = await run("help");
    expect([all.code, all.errors]).toEqual([0, ""]);
    expect(await run("help", "chat")).toEqual(await run("chat", "--help"));
    expect((await run("help", "chat")).output).toContain("--to SESSION");
    expect(await run()).toEqual({ code: 2, output: "", errors: all.output });
    expect((await run("version")).output).toBe((await run("--version")).output);
  });

  test("errors are JSON where JSON is wanted, on standard error", async () => {
    const { code, output, errors } = await run("tail", "ses_unknown", "--json");
    expect([code, output]).toEqual([1, ""]);
    expect(JSON.parse(errors)).toMatchObject({ error: { code: "not_found", reason: "SESSION_NOT_FOUND" } });
    const usage = await run("chat", "--json", "--nope");
    expect([usage.code, JSON.parse(usage.errors).error.reason]).toEqual([2, "USAGE"]);
  });

  test("the answer alone is on standard output; a run that failed has its exit code", async () => {
    const { code, output, errors } = await run("chat", 'call filesystem.list_directory {"path":"."}');
    expect([code, output]).toEqual([0, "The tool has answered, and that is all there is to say.\n"]);
    expect(errors).toMatch(
      /waiting for the answer[\s\S]*→ filesystem\.list_directory[\s\S]*← filesystem\.list_directory/,
    );
    const failed = await run("chat", "--model", "no-such-model", "hi");
    expect([failed.code, failed.output]).toEqual([1, ""]);
    expect(failed.errors).toContain("failed");
  });

  test("what is piped in stands behind the message", async () => {
    const { code, output, errors } = await pipe("a line\nof a file\n", "atoll chat --new --json tokens=2");
    expect([code, errors]).toEqual([0, expect.stringContaining("new session ses_")]);
    expect(output).toContain("token2");
    expect(JSON.stringify(scripted.fake.requests().at(-1))).toContain("tokens=2\\n\\na line\\nof a file\\n");
    expect(await pipe("", "atoll chat")).toMatchObject({ code: 2, output: "" });
    expect(
      await pipe("\u0000\u00ff", "head -c 3 /dev/urandom >/dev/null; printf '\\377\\376' | atoll chat"),
    ).toMatchObject({
      code: 2,
      errors: expect.stringContaining("no UTF-8"),
    });
  });

  test("a reader that leaves early is no failure", async () => {
    expect(await pipe("", "atoll tail agent:main:cli | head -n 1")).toMatchObject({ code: 0, errors: "" });
  });

  test("a tool is shown with its schema and not called", async () => {
    const { code, output } = await run("tools", "filesystem.create_directory");
    expect([code, output]).toEqual([0, expect.stringContaining('"path"')]);
    expect(output).toContain("--call");
    const made = join(scripted.mesh.folder, "workspace", "made");
    expect((await run("tools", "filesystem.create_directory", "--call", '{"path":"made"}')).code).toBe(0);
    expect(existsSync(made)).toBe(true);
    const slip = await run("tools", "filesystem.create_directry");
    expect([slip.code, slip.errors]).toEqual([1, expect.stringContaining("did you mean filesystem.create_directory?")]);
  });

  test("a message that is refused makes no session", async () => {
    const before = await sessionsNow();
    for (const to of ["bad key!", "agent:nobody:x", "ses_unknown"]) {
      const { code, output, errors } = await run("chat", "--to", to, "hi");
      expect([to, code, output]).toEqual([to, 1, ""]);
      expect(errors).toMatch(/\(.*, [A-Z_]+\)/);
    }
    expect(await sessionsNow()).toBe(before);
  });

  test("sessions are named, labelled, found and deleted", async () => {
    await run("chat", "--to", "boats", "a catamaran");
    const renamed = await run("sessions", "rename", "boats", "All", "about", "boats");
    expect(renamed.output).toMatch(
      /^ses_\w+ {2}agent:main:boats .*\d\d:\d\d:\d\d[+-]\d\d:\d\d .* events {2}All about boats\n$/,
    );
    expect((await run("sessions", "label", "boats", "topic=sea", "old=1")).output).toContain("[old=1, topic=sea]");
    expect((await run("sessions", "label", "boats", "old=")).output).toContain("[topic=sea]");
    expect((await run("sessions", "--label", "topic=sea")).output).toBe(
      (await run("sessions", "list", "--label", "topic=sea")).output,
    );
    await expect
      .poll(async () => (await run("sessions", "search", "catamaran")).output, { timeout })
      .toContain("agent:main:boats");
    const gone = await run("sessions", "delete", "boats");
    expect([gone.code, gone.output]).toEqual([
      0,
      expect.stringMatching(/^deleted ses_\w+ {2}agent:main:boats {2}All about boats\n$/),
    ]);
    expect((await run("sessions", "--label", "topic=sea")).errors).toBe("No session is like that.\n");
  });

  test(`nothing that was said forges a line or reaches the terminal hidden ${verifies("E15")}`, async () => {
    const { fake } = scripted;
    fake.setScript([text(`${hostile} ${readable}`)]);
    const chat = await run("chat", "--to", "agent:main:forge", hostile);
    fake.setScript(answerAsAsked);
    expect(chat.output).toContain(readable);
    await run("sessions", "rename", "agent:main:forge", hostile);
    const list = await run("sessions");
    expect(list.output.trimEnd().split("\n")).toHaveLength(await sessionsNow());
    expect(list.output.split("\n").filter((line) => line.startsWith("ses_forged"))).toEqual([]);
    const tail = await run("tail", "agent:main:forge");
    const events = tail.output.split("\n").filter((line) => /^ {0,8}\d/.test(line));
    expect(
      events.every((line) => !line.includes("shell.exec") || line.includes("> fine") || line.includes("fine")),
    ).toBe(true);
    expect(
      tail.output
        .split("\n")
        .filter((line) => /^ *9 {2}2026-01-01/.test(line))
        .every((line) => line.startsWith("            ")),
    ).toBe(true);
    const json = await run("sessions", "--json");
    const titles = json.output
      .trimEnd()
      .split("\n")
      .map((line) => fromJsonString(SessionSchema, line).title);
    expect(titles).toContain(hostile);
    const others = [await run("tail", "agent:main:forge", "--json"), await run("export", "agent:main:forge")];
    const markdown = await run("export", "agent:main:forge", "--format", "markdown");
    for (const { output, errors } of [chat, list, tail, json, markdown, ...others]) {
      expect(hiddenIn(`${output}${errors}`)).toEqual([]);
    }
    expect(tail.output).toContain(readable);
  });
});
