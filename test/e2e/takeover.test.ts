/** A worker is killed, or frozen and thawed, with another one beside it: the run goes on there under its own id. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFailed, test } from "vitest";
import type { Event } from "../../gen/atoll/event/v1/event_pb.ts";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { verifies } from "../requirements.ts";
import type { FakeAnthropic } from "../support/fake-anthropic/start-fake-anthropic.ts";
import { type MeshProcess, type ServiceProcess, startService } from "../support/mesh-process.ts";
import { endsOf, expectDense, fold, type MeshClient, readLog, runOf, say } from "./mesh-client.fixture.ts";
import { startScriptedMesh } from "./scripted-mesh.fixture.ts";
import { countAsked } from "./scripted-model.fixture.ts";

const probe = resolve(import.meta.dirname, "../support/mcp-probe-server.ts");
/** A tool call, then an answer of some seconds. */
const words = 'call probe.echo {"text":"once"} delay=200';
/** The lease's time to live, shortened so that a frozen worker's run is free soon. */
const leaseTtlMs = 2_000;

let folder: string;
let historyFile: string;
let fake: FakeAnthropic;
let mesh: MeshProcess;
let client: MeshClient;
let stop: () => Promise<void>;
/** The worker that stands beside the mesh's own. */
let second: ServiceProcess;
/** The mesh's own worker, as events name it. */
let firstWorkerId: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "atoll-takeover-"));
  historyFile = join(folder, "probe-history.jsonl");
  const probeServer = { command: process.execPath, args: [probe, `--history=${historyFile}`] };
  const config = JSON.stringify({
    mcpServers: { filesystem: { disabled: true }, probe: probeServer },
    runs: { leaseTtlMs, renewIntervalMs: 400 },
  });
  ({ fake, mesh, client, stop } = await startScriptedMesh({ topology: "split", folder, config }));
  onTestFailed(() => {
    process.stderr.write(`${mesh.log()}\n${second?.log()}\n`);
  });
  firstWorkerId = await attachedWorkerId();
  second = await startSecond();
});

afterEach(async () => {
  mesh.processOf("agent").child.kill("SIGCONT");
  await second.end("SIGKILL");
  await stop();
  rmSync(folder, { recursive: true, force: true });
});

function callsOfProbe(): number {
  if (!existsSync(historyFile)) return 0;
  return readFileSync(historyFile, "utf8").trim().split("\n").length;
}

/** The id of the only worker that is attached so far, as the session service logs it. */
async function attachedWorkerId(): Promise<string> {
  const read = () => /"workerId":"(\w+)"[^\n]*"worker attached"/.exec(mesh.processOf("session").log())?.[1];
  await expect.poll(read).toBeDefined();
  return read() ?? "";
}

async function startSecond(): Promise<ServiceProcess> {
  const env = { ANTHROPIC_API_KEY: "test", ANTHROPIC_BASE_URL: fake.url };
  const { args } = mesh.processOf("agent");
  return startService("agent2", args.with(args.indexOf("--listen") + 1, "127.0.0.1:0"), folder, env);
}

/** Follows the run on one stream from its start to its end; in the middle of the second step its worker is struck. */
async function followRun(strike: NodeJS.Signals) {
  const { sessionId, runId } = await say(client, words);
  const events: Event[] = [];
  let holder: ServiceProcess | undefined;
  // One subscription, never opened again: what is broken behind it must not show.
  for await (const response of client.gateway.subscribe({ sessionId, untilRunId: runId })) {
    events.push(...response.events);
    if (holder !== undefined || !events.some(({ body, step }) => body.case === "textDelta" && step === 2)) continue;
    holder = holderOf(events);
    holder.child.kill(strike);
  }
  expect(events.filter(({ body }) => body.case === "runResumed")).toHaveLength(1);
  return { sessionId, runId, events, holder: holder ?? expect.fail("the second step said nothing") };
}

function holderOf(events: readonly Event[]): ServiceProcess {
  const workerIds = events.flatMap(({ body }) => (body.case === "runStarted" ? [body.value.workerId] : []));
  return workerIds.includes(firstWorkerId) ? mesh.processOf("agent") : second;
}

async function expectOneRun(sessionId: string, runId: string, events: readonly Event[]): Promise<void> {
  expectDense(events);
  const log = await readLog(client, sessionId);
  expect(log.slice(0, events.length)).toEqual(events);
  expect(endsOf(log, runId)).toMatchObject([{ status: RunStatus.COMPLETED, steps: 2 }]);
  expect(new Set(log.flatMap(({ runId: of }) => (of === "" ? [] : [of])))).toEqual(new Set([runId]));
  const discarded = log.flatMap(({ body }) => (body.case === "stepDiscarded" ? [body.value] : []));
  expect(discarded).toMatchObject([{ step: 2, attempt: 1 }]);
  // The finished step is not made again: its model call and its tool call happened once, only the second step twice.
  expect(callsOfProbe()).toBe(1);
  expect(countAsked(fake.requests(), words)).toBe(3);
  expect(runOf(fold(log), runId)).toMatchObject({ attempt: 2, state: { kind: "finished" } });
}

describe("a run whose worker", () => {
  test(`is killed is taken over on the same stream ${verifies("R2", "R4")}`, async () => {
    const { sessionId, runId, events } = await followRun("SIGKILL");
    await expectOneRun(sessionId, runId, events);
  });

  test(`is frozen is taken over when its lease has ended, and what it says when it thaws has no effect ${verifies("L4", "R2", "R4")}`, async () => {
    const { sessionId, runId, events, holder } = await followRun("SIGSTOP");
    holder.child.kill("SIGCONT");
    await expect.poll(() => holder.log()).toContain("run lost");
    await expectOneRun(sessionId, runId, events);
  });
});
