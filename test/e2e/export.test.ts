/** `atoll export` on a real mesh: the whole log as lines, and as a transcript. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fromJsonString } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EventSchema } from "../../gen/atoll/event/v1/event_pb.ts";
import { verifies } from "../requirements.ts";
import { type MeshProcess, runCommand, startMeshProcess } from "../support/mesh-process.ts";
import {
  answerOf,
  clientOver,
  expectDense,
  fold,
  inSession,
  type MeshClient,
  readLog,
  readUntilEnd,
  say,
} from "./mesh-client.fixture.ts";

const question = "which files are in the workspace, and what does notes.md say?";
const hostile = "```\n# Not a heading of yours\n<!-- nothing below";

describe("exporting a session", () => {
  let mesh: MeshProcess;
  let client: MeshClient;
  let sessionId: string;
  const key = "agent:main:export";
  const run = (...args: string[]) => runCommand(["export", ...args], mesh.folder);

  beforeAll(async () => {
    mesh = await startMeshProcess();
    client = clientOver(mesh.transport());
    const first = await say(client, question, { session: { case: "sessionKey", value: key } });
    ({ sessionId } = first);
    await readUntilEnd(client, first);
    await readUntilEnd(client, await say(client, hostile, inSession(sessionId)));
  });

  afterAll(async () => {
    await mesh?.stop();
  });

  test(`as lines is the whole log, one event a line, dense, by id or by key ${verifies("S1", "S5")}`, async () => {
    const { code, output, errors } = await run(sessionId);
    expect([code, errors]).toEqual([0, ""]);
    const events = output
      .trimEnd()
      .split("\n")
      .map((line) => fromJsonString(EventSchema, line));
    expectDense(events);
    const log = await readLog(client, sessionId);
    expect(events.at(-1)?.seq).toBe(log.at(-1)?.seq);
    const { runId } = log.find(({ body }) => body.case === "runStarted") ?? {};
    expect(answerOf(fold(events), runId ?? "")).toBe(answerOf(fold(log), runId ?? ""));
    expect((await run("export")).output).toBe(output);
    expect((await run(key, "--format", "jsonl")).output).toBe(output);
  });

  test("as Markdown is a transcript, in a file that has its name when it is whole", async () => {
    const file = join(mesh.folder, "talk.md");
    const { code, output, errors } = await run(key, "--format", "markdown", "--output", file);
    expect([code, output, errors]).toEqual([0, "", ""]);
    const text = readFileSync(file, "utf8");
    expect(text).toContain(`# which files are in the workspace`);
    expect(text).toContain("### Tool `filesystem.read_text_file`");
    expect(text).toContain("Buy a boat.");
    expect(text).toContain(`\`\`\`\`text\n${hostile}\n\`\`\`\``);
    expect(text).toMatch(/_Completed after \d+ ms\._/);
    expect(text).toMatch(/_End of the log at event \d+\._\n+$/);
    expect((await run(key, "--format=markdown")).output).toBe(text);
    expect(readdirSync(mesh.folder).filter((name) => name.includes(".part"))).toEqual([]);
  });

  test("says what is wrong, and leaves no file behind", async () => {
    expect(await run("ses_unknown")).toMatchObject({
      code: 1,
      output: "",
      errors: expect.stringContaining("SESSION_NOT_FOUND"),
    });
    expect(await run("group:telegram")).toMatchObject({
      code: 1,
      errors: expect.stringContaining("group:<channel>:<group>"),
    });
    expect(await run()).toMatchObject({ code: 2, errors: expect.stringContaining("atoll export SESSION") });
    expect(await run(key, "--format", "pdf")).toMatchObject({
      code: 2,
      errors: expect.stringContaining("jsonl or markdown"),
    });
    const nowhere = join(mesh.folder, "nowhere", "talk.md");
    expect(await run(key, "-o", nowhere)).toMatchObject({
      code: 2,
      errors: expect.stringContaining("can't be written"),
    });
    expect(await run("ses_unknown", "-o", join(mesh.folder, "gone.md"))).toMatchObject({ code: 1 });
    expect(readdirSync(mesh.folder).filter((name) => /gone|part/.test(name))).toEqual([]);
  });
});
