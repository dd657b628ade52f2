/** What an MCP server's schema and a model's arguments may do to a whole mesh: nothing, also after kill -9 and restart. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Event } from "../../gen/atoll/event/v1/event_pb.ts";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { ErrorReason, reasonName } from "../../services/kernel/errors.ts";
import { clientOver, endsOf, type MeshClient, readUntilEnd, refusalOf, say } from "../e2e/mesh-client.fixture.ts";
import { answerAsAsked } from "../e2e/scripted-model.fixture.ts";
import { verifies } from "../requirements.ts";
import { type FakeAnthropic, startFakeAnthropic } from "../support/fake-anthropic/start-fake-anthropic.ts";
import { atollProgram, type MeshProcess, startMeshProcess } from "../support/mesh-process.ts";

const run = promisify(execFile);
const rawServer = resolve(import.meta.dirname, "../support/mcp-raw-server.ts");
/** V8's own engine would need 2^40 steps. */
const evil = `${"a".repeat(40)}!`;
const tools = [
  { name: "backtracking", inputSchema: { properties: { p: { pattern: "^(a+)+$" } } } },
  {
    name: "names",
    inputSchema: { patternProperties: { "^([a-z]+)*$": { type: "number" } }, additionalProperties: { type: "string" } },
  },
  { name: "pairs", inputSchema: { properties: { p: { pattern: "(x+x+)+y" } } } },
  {
    name: "wide",
    inputSchema: { properties: Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`p${n}`, {}])) },
  },
];

let fake: FakeAnthropic;
let folder: string;
let mesh: MeshProcess;
let client: MeshClient;

beforeAll(async () => {
  fake = await startFakeAnthropic({ script: answerAsAsked });
  folder = mkdtempSync(join(tmpdir(), "atoll-costly-"));
  const pages = join(folder, "pages.json");
  writeFileSync(pages, JSON.stringify([JSON.stringify({ tools })]));
  const config = {
    agents: { main: {}, none: { tools: [] }, blank: { tools: [""] }, lost: { tools: ["nobody.*"] } },
    mcpServers: { raw: { command: process.execPath, args: [rawServer, `--pages=${pages}`] } },
  };
  mesh = await startMeshProcess({
    folder,
    env: { ANTHROPIC_API_KEY: "test", ANTHROPIC_BASE_URL: fake.url },
    config: JSON.stringify(config),
  });
  client = clientOver(mesh.transport());
});

afterAll(async () => {
  await mesh?.stop();
  await fake?.close();
  rmSync(folder, { recursive: true, force: true });
});

function outcomesOf(events: readonly Event[]): string[] {
  return events.flatMap(({ body }) => (body.case === "toolCallFinished" ? [reasonName(body.value.reason)] : []));
}

async function askFor(words: string, sessionKey = "agent:main:costly"): Promise<Event[]> {
  const said = await say(client, words, { session: { case: "sessionKey", value: sessionKey } });
  const events = await readUntilEnd(client, said);
  expect(endsOf(events, said.runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
  return events.filter(({ runId }) => runId === said.runId);
}

describe("a schema and arguments that would take for ever", { timeout: 120_000 }, () => {
  const calls = [
    ["backtracking", { p: evil }],
    ["pairs", { p: "x".repeat(60) }],
    ["names", { [evil]: 5 }],
  ] as const;

  test(`end a run with a refusal, before and after kill -9 ${verifies("E2")}`, { timeout: 120_000 }, async () => {
    const outcomes = async (): Promise<unknown[]> => {
      const found = [];
      for (const [tool, args] of calls)
        found.push(outcomesOf(await askFor(`call raw.${tool} ${JSON.stringify(args)}`)));
      return found;
    };
    const refused = [["TOOL_ARGUMENTS_INVALID"], ["TOOL_ARGUMENTS_INVALID"], ["TOOL_ARGUMENTS_INVALID"]];
    expect(await outcomes()).toEqual(refused);
    await mesh.processOf("mesh").end("SIGKILL");
    await mesh.restart("mesh");
    client = clientOver(mesh.transport());
    expect(await outcomes()).toEqual(refused);
  });

  test(`are shown with their reason, and the mesh still obeys SIGTERM ${verifies("E2", "FT3")}`, async () => {
    const listed = await client.tools.listTools({ includeUnusable: true });
    expect(listed.tools.map(({ name, problem }) => [name, problem === ""])).toEqual([
      ["raw.backtracking", true],
      ["raw.names", true],
      ["raw.pairs", true],
      ["raw.wide", false],
    ]);
    const shown = await run(process.execPath, [atollProgram, "tools", "--url", mesh.url], { cwd: folder });
    expect(shown.stdout).toMatch(/^raw\.backtracking +ready$/m);
    expect(shown.stdout).toMatch(/^raw\.wide +unusable\n +its schema has more than 5000 parts$/m);
    const one = await run(process.execPath, [atollProgram, "tools", "raw.wide", "--url", mesh.url], { cwd: folder });
    expect(one.stdout).toContain("Its problem: its schema has more than 5000 parts");
    expect(one.stdout).not.toContain("Call it:");
    expect(
      (await refusalOf(client.tools.invokeTool({ call: { callId: "c", tool: "raw.wide", context: {} } }))).reason,
    ).toBe("TOOL_UNUSABLE");
    expect(await mesh.processOf("mesh").end("SIGTERM")).toBe(0);
    await mesh.restart("mesh");
    client = clientOver(mesh.transport());
  });
});

describe("an agent whose list of tools lets it at none", { timeout: 120_000 }, () => {
  test.each(["none", "blank", "lost"])(
    `shows %s's model no tool, and refuses one that it names ${verifies("E13")}`,
    async (agent) => {
      expect((await client.tools.listTools({ agentId: agent })).tools).toEqual([]);
      const before = fake.requests().length;
      const events = await askFor('call raw.pairs {"p":"y"}', `agent:${agent}:x`);
      expect(outcomesOf(events)).toEqual(["TOOL_DENIED"]);
      expect(fake.requests()[before]?.body.tools).toBeUndefined();
    },
  );

  test(`is also one that nobody configured ${verifies("E13")}`, async () => {
    const unknown = reasonName(ErrorReason.AGENT_NOT_FOUND);
    expect((await refusalOf(client.tools.listTools({ agentId: "invented" }))).reason).toBe(unknown);
    const call = { callId: "c-invented", tool: "raw.pairs", context: { agentId: "invented" } };
    expect((await refusalOf(client.tools.invokeTool({ call }))).reason).toBe(unknown);
    expect((await client.tools.listTools({ agentId: "main" })).tools).toHaveLength(3);
    expect((await client.tools.listTools({})).tools).toHaveLength(3);
  });
});
