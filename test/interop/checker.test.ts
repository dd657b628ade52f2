// The checker of examples/clients judges a mesh by the contracts' comments alone, and shows that it would see what is wrong.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { JsonObject } from "@bufbuild/protobuf";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ScriptedMesh, showLogOnFailure, startScriptedMesh } from "../e2e/scripted-mesh.fixture.ts";
import { answerAsAsked } from "../e2e/scripted-model.fixture.ts";
import { verifies } from "../requirements.ts";
import type { FakeBlock, FakeScript } from "../support/fake-anthropic/script.ts";
import { topologies } from "../support/mesh-process.ts";
import { runProgram, startProgram } from "./client-program.ts";
import { python } from "./python-stubs.ts";

const checker = resolve(import.meta.dirname, "../../examples/clients/checker");
const stubs = mkdtempSync(join(tmpdir(), "atoll-checker-"));
/** Ten seconds at rest; a busy machine may need many times as long. */
const checkTimeoutMs = 240_000;

beforeAll(() => runProgram(join(checker, "generate.sh"), [stubs], { env: { PYTHON: python } }), checkTimeoutMs);
afterAll(() => rmSync(stubs, { recursive: true, force: true }));

const config = JSON.stringify({ agents: { main: { thinkingTokens: 1_024 } } });
const thought: readonly FakeBlock[] = [
  { type: "thinking", thinking: "Löwen 漢字 🐚, and what they may want of me" },
  { type: "redacted_thinking", data: "bm90aGluZyB0byBzZWU=" },
];

/** Thinks before it speaks; every fourth call breaks off in the middle and is made again; what is to be refused is. */
const unsteady: FakeScript = (body, call) => {
  if (newestIn(body).includes("refuse me")) return { kind: "error", status: 400, message: "no" };
  const answer = answerAsAsked(body);
  if (answer.kind !== "answer") return answer;
  const blocks = [...thought, ...answer.blocks];
  return { ...answer, blocks, ...(call % 4 === 1 && { tokenDelayMs: 20, break: { kind: "cut", afterDeltas: 4 } }) };
};

function newestIn({ messages }: JsonObject): string {
  return JSON.stringify(Array.isArray(messages) ? messages.at(-1) : messages);
}

async function check(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const words = [join(checker, "check.py"), ...args];
  const program = startProgram(python, words, { env: { ATOLL_STUBS: stubs, ...env }, timeoutMs: checkTimeoutMs });
  program.end();
  const lines: string[] = [];
  for await (const line of program.lines) lines.push(line);
  const { code, errors } = await program.ended;
  return { code, violations: lines.filter((line) => line.startsWith("VIOLATION")), report: lines.join("\n"), errors };
}

test("the checker sees each way in which a stream can be wrong", { timeout: checkTimeoutMs }, async () => {
  const { code, errors } = await check(["--selftest"]);
  expect(errors).toMatch(/OK$/m);
  expect(code).toBe(0);
});

describe.each(topologies)("a mesh, %s", (topology) => {
  let scripted: ScriptedMesh;
  const env = () => ({ ATOLL_ADDRESS: new URL(scripted.mesh.url).host, ATOLL_TOKEN: scripted.mesh.token });

  beforeAll(async () => {
    scripted = await startScriptedMesh({ topology, config });
    scripted.fake.setScript(unsteady);
  }, checkTimeoutMs);
  afterAll(() => scripted?.stop());
  beforeEach(() => showLogOnFailure(scripted.mesh));

  const promises = verifies("S1", "S2", "S3", "S5", "S6", "S8", "R1", "R2", "R3", "L3");
  test(`keeps what its contracts say ${promises}`, { timeout: 2 * checkTimeoutMs }, async () => {
    const say = [
      'call filesystem.read_text_file {"path":"notes.md"}',
      'call filesystem.read_text_file {"path":"no.md"}',
    ];
    const words = [...say, "refuse me"].flatMap((each) => ["--say", each]);
    const held = await check(["--long", "tokens=100 delay=8", ...words], env());
    expect(held).toMatchObject({ violations: [], code: 0, errors: "" });
    expect(held.report).toContain("a void step is made again: held");

    const sessionId = /session (ses_\w+)/.exec(held.report)?.[1] ?? "";
    expect(await check(["--session", sessionId], env())).toMatchObject({ violations: [], code: 0 });
    const unknown = await check(["--session", "ses_00000000000000000000000000"], env());
    expect(unknown).toMatchObject({ code: 2, errors: expect.stringContaining("SESSION_NOT_FOUND") });
  });
});
