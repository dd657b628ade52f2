/** Real processes that are killed, frozen or lose their ledger while tools run: each call has one outcome, and one effect. */
import { randomUUID } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { JsonObject } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFailed, test } from "vitest";
import type { Event } from "../../gen/atoll/event/v1/event_pb.ts";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import { verifies } from "../requirements.ts";
import { type FakeReply, text } from "../support/fake-anthropic/script.ts";
import type { MeshProcess } from "../support/mesh-process.ts";
import { endsOf, expectDense, type MeshClient, readLog, readUntil, readUntilEnd, say } from "./mesh-client.fixture.ts";
import { startScriptedMesh } from "./scripted-mesh.fixture.ts";

const probe = resolve(import.meta.dirname, "../support/mcp-probe-server.ts");
const parallelTools = 2;
/** A mesh of four processes starts in a second, and in a minute where eight others use the machine. */
const hookTimeoutMs = 300_000;
const testTimeoutMs = 240_000;

let folder: string;
let historyFile: string;
let mesh: MeshProcess;
let client: MeshClient;
let stop: () => Promise<void>;

/** How many effects there were before the test. */
let effectsBefore: number;

// One mesh for all tests: what a test strikes, it starts again.
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "atoll-outcomes-"));
  historyFile = join(folder, "probe-history.jsonl");
  const probeServer = { command: process.execPath, args: [probe, `--history=${historyFile}`] };
  const config = JSON.stringify({
    mcpServers: { filesystem: { disabled: true }, probe: probeServer },
    agents: { main: { parallelTools } },
    // Nothing here waits for a lease to end: a machine that is busy must not take a run away from a worker that lives.
    runs: { leaseTtlMs: 60_000 },
  });
  const started = await startScriptedMesh({ topology: "split", folder, config });
  ({ mesh, client, stop } = started);
  started.fake.setScript(callThrice);
}, hookTimeoutMs);

beforeEach(() => {
  effectsBefore = effects().length;
  onTestFailed(() => {
    process.stderr.write(`${mesh.log()}\n`);
  });
});

afterEach(async () => {
  for (const service of ["agent", "toolrouter"]) {
    const { child } = mesh.processOf(service);
    child.kill("SIGCONT");
    if (child.exitCode !== null || child.signalCode !== null) await mesh.restart(service);
  }
}, hookTimeoutMs);

afterAll(async () => {
  await stop();
  rmSync(folder, { recursive: true, force: true });
}, hookTimeoutMs);

/** Three calls that take a minute, then a word. */
function callThrice(body: JsonObject): FakeReply {
  if (JSON.stringify(body["messages"]).includes("tool_result")) return text("That is all.");
  const blocks = ["a", "b", "c"].map((name) => ({
    ...{ type: "tool_use" as const, name: "probe__slow", input: { ms: 60_000, text: name } },
  }));
  return { kind: "answer", blocks };
}

/** Starts a run and waits until as many calls as may run at a time are with the probe, and the log says so. */
async function startCalls() {
  const ids = await say(client, "go");
  const started: string[] = [];
  await readUntil(client, ids.sessionId, ({ body }) => {
    if (body.case === "toolCallStarted") started.push(body.value.callId);
    return started.length === parallelTools;
  });
  await expect.poll(newEffects, { timeout: 60_000 }).toBe(parallelTools);
  return ids;
}

/** The calls that reached the probe. */
function effects(): unknown[] {
  if (!existsSync(historyFile)) return [];
  const lines = readFileSync(historyFile, "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line) as { tool: string }).filter(({ tool }) => tool === "slow");
}

function newEffects(): number {
  return effects().length - effectsBefore;
}

async function cancel({ runId }: { readonly runId: string }): Promise<void> {
  await client.gateway.cancelRun({ requestId: randomUUID(), runId });
}

/** The outcome of each call, in order; each call has one, and all stand in front of the one end of the run. */
function outcomesIn(events: readonly Event[], runId: string): string[] {
  expectDense(events);
  const ended = events.findIndex(({ body }) => body.case === "runFinished");
  expect(endsOf(events, runId)).toHaveLength(1);
  const outcomes = new Map<string, string>();
  for (const { body } of events.slice(0, ended)) {
    if (body.case === "toolCallProposed") outcomes.set(body.value.callId, "none");
    if (body.case !== "toolCallFinished") continue;
    const { callId, outcome } = body.value;
    expect(outcomes.get(callId)).toBe("none");
    outcomes.set(callId, Object.entries(ToolOutcome).find(([, number]) => number === outcome)?.[0] ?? "");
  }
  expect(events.slice(ended).some(({ body }) => body.case === "toolCallFinished")).toBe(false);
  return [...outcomes.values()];
}

describe(`a run that is cancelled ${verifies("FL4", "F3")}`, () => {
  test("while all is well has each call cancelled", { timeout: testTimeoutMs }, async () => {
    const ids = await startCalls();
    await cancel(ids);
    const events = await readUntilEnd(client, ids);
    expect(outcomesIn(events, ids.runId)).toEqual(["CANCELLED", "CANCELLED", "CANCELLED"]);
    expect(endsOf(events, ids.runId)).toMatchObject([{ status: RunStatus.CANCELLED }]);
    expect(newEffects()).toBe(parallelTools);
  });

  test.each([
    ["router", "toolrouter", "SIGSTOP"],
    ["router", "toolrouter", "SIGKILL"],
    ["worker", "agent", "SIGSTOP"],
    ["worker", "agent", "SIGKILL"],
  ] as const)(
    "with its %s struck (%s: %s) has unknown what had started, and nothing else",
    async (_who, service, signal) => {
      const ids = await startCalls();
      mesh.processOf(service).child.kill(signal);
      await cancel(ids);
      expect(outcomesIn(await readUntilEnd(client, ids), ids.runId)).toEqual(["UNKNOWN", "UNKNOWN", "CANCELLED"]);
      mesh.processOf(service).child.kill("SIGCONT");
      // What a worker that thaws has still to say has no effect.
      expect(outcomesIn(await readLog(client, ids.sessionId), ids.runId)).toEqual(["UNKNOWN", "UNKNOWN", "CANCELLED"]);
    },
  );
});

describe(`a router whose ledger is lost with calls in flight ${verifies("FL6", "T1", "F3")}`, () => {
  /** The data folder's part that is the router's own. */
  function loseLedger(): void {
    for (const name of ["toolrouter.db", "toolrouter.db-wal", "toolrouter.db-shm", "blobs"])
      rmSync(join(mesh.dataDir, name), { recursive: true, force: true });
  }

  test.each([
    ["and the worker lives", ["toolrouter"]],
    ["and the worker is dead, too", ["agent", "toolrouter"]],
  ])("makes none of them twice, %s", { timeout: testTimeoutMs }, async (_case, struck) => {
    const ids = await startCalls();
    for (const service of struck) await mesh.processOf(service).end("SIGKILL");
    loseLedger();
    await mesh.restart("toolrouter");
    if (struck.includes("agent")) await mesh.restart("agent");
    // The third call is the first of its id: it is made, and the run is ended in front of it.
    await expect.poll(newEffects, { timeout: 60_000 }).toBe(parallelTools + 1);
    await cancel(ids);
    const outcomes = outcomesIn(await readUntilEnd(client, ids), ids.runId);
    expect(outcomes).toEqual(["UNKNOWN", "UNKNOWN", "CANCELLED"]);
    expect(newEffects()).toBe(parallelTools + 1);
  });
});
