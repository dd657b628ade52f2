/** Kill -9 in mid-answer, of the whole mesh and of each service in turn: what was shown stays, what was begun ends. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFailed, test } from "vitest";
import { DiscardReason } from "../../gen/atoll/event/v1/block_events_pb.ts";
import type { Event } from "../../gen/atoll/event/v1/event_pb.ts";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import type { Conversation } from "../../web/client/fold/conversation.ts";
import { applyEvents, createFold, resumeFold } from "../../web/client/fold/fold-events.ts";
import { sendMessage } from "../../web/client/send-message.ts";
import { subscribeEvents } from "../../web/client/subscribe.ts";
import { verifies } from "../requirements.ts";
import { type FakeAnthropic, startFakeAnthropic } from "../support/fake-anthropic/start-fake-anthropic.ts";
import { type MeshProcess, startMeshProcess } from "../support/mesh-process.ts";
import {
  answerOf,
  bytesOf,
  clientOver,
  endsOf,
  eventually,
  expectDense,
  fold,
  inSession,
  isTextOf,
  type MeshClient,
  readLog,
  readUntil,
  readUntilEnd,
  runOf,
  say,
  textMessage,
} from "./mesh-client.fixture.ts";
import { answerAsAsked, countAsked } from "./scripted-model.fixture.ts";

/** An answer of about two seconds. */
const slowly = "tokens=200 delay=10";
const probe = resolve(import.meta.dirname, "../support/mcp-probe-server.ts");

let fake: FakeAnthropic;
let folder: string;
let historyFile: string;

beforeAll(async () => {
  fake = await startFakeAnthropic({ script: answerAsAsked });
});

afterAll(async () => {
  await fake?.close();
});

function meshOptions() {
  const probeServer = { command: process.execPath, args: [probe, `--history=${historyFile}`] };
  return {
    folder,
    env: { ANTHROPIC_API_KEY: "test", ANTHROPIC_BASE_URL: fake.url },
    config: JSON.stringify({ mcpServers: { filesystem: { disabled: true }, probe: probeServer } }),
  };
}

/** How often the probe was really called, in all its lives. */
function callsOf(tool: string): number {
  if (!existsSync(historyFile)) return 0;
  const lines = readFileSync(historyFile, "utf8").trim().split("\n");
  return lines.filter((line) => (JSON.parse(line) as { tool: string }).tool === tool).length;
}

function makeFolder(): void {
  folder = mkdtempSync(join(tmpdir(), "atoll-crash-"));
  historyFile = join(folder, "probe-history.jsonl");
}

/** The nth piece of the answer of a run. */
function nthTextOf(runId: string, count: number): (event: Event) => boolean {
  let texts = 0;
  return (event) => isTextOf(runId)(event) && ++texts === count;
}

describe("kill -9 of the embedded mesh", () => {
  let mesh: MeshProcess;
  let client: MeshClient;

  beforeEach(async () => {
    makeFolder();
    mesh = await startMeshProcess(meshOptions());
    client = clientOver(mesh.transport());
    onTestFailed(() => {
      process.stderr.write(`${mesh.log()}\n`);
    });
    return async () => {
      await mesh.stop();
      rmSync(folder, { recursive: true, force: true });
    };
  });

  async function killAndRestart(): Promise<void> {
    await mesh.processOf("mesh").end("SIGKILL");
    await mesh.restart("mesh");
    client = clientOver(mesh.transport());
  }

  test(`in mid-answer loses nothing that was seen, and the run ends once ${verifies("S1", "S2", "S4", "S8", "R2")}`, async () => {
    const earlier = await say(client, "hello");
    await readUntilEnd(client, earlier);
    const { sessionId, runId } = await say(client, slowly, inSession(earlier.sessionId));
    const seen = await readUntil(client, sessionId, nthTextOf(runId, 10));
    await killAndRestart();

    const { sessions } = await client.session.listSessions({});
    expect(sessions.map((session) => session.sessionId)).toEqual([sessionId]);
    const cursor = seen.at(-1)?.seq ?? 0n;
    const rest = await readUntilEnd(client, { sessionId, runId, afterSeq: cursor });
    expectDense([...seen, ...rest]);

    const log = await readLog(client, sessionId);
    expect(bytesOf(log.slice(0, seen.length))).toEqual(bytesOf(seen));
    expect(bytesOf(log.slice(seen.length))).toEqual(bytesOf(rest));
    expect(log.filter(({ body }) => body.case === "messageReceived")).toHaveLength(2);
    expect(endsOf(log, runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
    expect(endsOf(log, earlier.runId)).toHaveLength(1);
    const discarded = rest.flatMap(({ body }) => (body.case === "stepDiscarded" ? [body.value] : []));
    expect(discarded).toMatchObject([{ step: 1, attempt: 1, reason: DiscardReason.TAKEOVER }]);
    // What the cut step had shown is gone from the conversation, and its second try stands there whole.
    const run = runOf(fold(log), runId);
    const blocks = run.items.filter((item) => item.kind === "block");
    expect(blocks).toMatchObject([{ attempt: 2, complete: true }]);
    expect(bytesOf(log)).toEqual(bytesOf(await readUntilEnd(client, { sessionId, runId })));
  });

  test(`while messages wait loses none of them ${verifies("R2", "R3")}`, async () => {
    const first = await say(client, slowly);
    const { sessionId } = first;
    const waiting = [];
    for (const each of [1, 2, 3]) waiting.push(await say(client, `tokens=3 number ${each}`, inSession(sessionId)));
    await readUntil(client, sessionId, isTextOf(first.runId));
    await killAndRestart();
    for (const { runId } of waiting) await readUntilEnd(client, { sessionId, runId });
    const log = await readLog(client, sessionId);
    expectDense(log);
    const ended = log.flatMap(({ body, runId }) => (body.case === "runFinished" ? [runId] : []));
    expect(ended).toEqual([first, ...waiting].map(({ runId }) => runId));
  });

  test(`while a tool works ends the call as unknown and never repeats it ${verifies("T1", "L5")}`, async () => {
    const { sessionId, runId } = await say(client, 'call probe.slow {"ms":60000}');
    await readUntil(client, sessionId, ({ body }) => body.case === "toolCallStarted");
    await eventually("the probe was called", () => (callsOf("slow") > 0 ? true : undefined));
    await killAndRestart();
    const events = await readUntilEnd(client, { sessionId, runId });
    const outcomes = events.flatMap(({ body }) => (body.case === "toolCallFinished" ? [body.value.outcome] : []));
    expect(outcomes).toEqual([ToolOutcome.UNKNOWN]);
    expect(endsOf(events, runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
    expect(callsOf("slow")).toBe(1);
  });

  test(`after a tool has answered does not call it again ${verifies("T1", "S8")}`, async () => {
    const words = 'call probe.echo {"text":"once"} delay=50';
    const { sessionId, runId } = await say(client, words);
    let finished = false;
    await readUntil(client, sessionId, (event) => {
      finished ||= event.body.case === "toolCallFinished";
      return finished && isTextOf(runId)(event);
    });
    await killAndRestart();
    const events = await readUntilEnd(client, { sessionId, runId });
    expect(callsOf("echo")).toBe(1);
    const discarded = events.flatMap(({ body }) => (body.case === "stepDiscarded" ? [body.value] : []));
    expect(discarded).toMatchObject([{ step: 2, attempt: 1 }]);
    expect(endsOf(events, runId)).toMatchObject([{ status: RunStatus.COMPLETED, steps: 2 }]);
    // Step 1 once, step 2 twice.
    expect(countAsked(fake.requests(), words)).toBe(3);
    expect(answerOf(fold(events), runId)).toBe("The tool has answered, and that is all there is to say.");
  });
});

describe("kill -9 of one service in mid-answer", () => {
  let mesh: MeshProcess;
  let client: MeshClient;

  beforeAll(async () => {
    makeFolder();
    mesh = await startMeshProcess({ ...meshOptions(), topology: "split" });
    client = clientOver(mesh.transport());
  });

  afterAll(async () => {
    await mesh?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What a client sees that only ever asks for more, while `interfere` does its worst after ten pieces of text. */
  async function follow(
    { sessionId, runId }: { readonly sessionId: string; readonly runId: string },
    isTime: (event: Event) => boolean,
    interfere: () => Promise<void>,
  ): Promise<{ events: Event[]; conversation: Conversation }> {
    let conversation = createFold();
    let interference: Promise<void> | undefined;
    const events: Event[] = [];
    const signal = AbortSignal.timeout(25_000);
    for await (const delivery of subscribeEvents({ client: client.gateway, sessionId, untilRunId: runId, signal })) {
      if (delivery.kind === "startOver") return expect.fail(`the log began anew: ${delivery.message}`);
      conversation = applyEvents(delivery.resumed ? resumeFold(conversation) : conversation, delivery.events);
      events.push(...delivery.events);
      if (delivery.events.some(isTime)) interference ??= interfere();
    }
    if (interference === undefined) return expect.fail("the kill did not land");
    await interference;
    return { events, conversation };
  }

  async function killAndRestart(service: string): Promise<void> {
    await mesh.processOf(service).end("SIGKILL");
    await mesh.restart(service);
  }

  async function expectWhole(sessionId: string, runId: string, events: readonly Event[]): Promise<void> {
    expectDense(events);
    const log = await readLog(client, sessionId);
    expect(bytesOf(events)).toEqual(bytesOf(log));
    expect(endsOf(log, runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
  }

  test.each(["session", "agent", "toolrouter", "gateway"])(
    `%s: the client's conversation goes on without gap or repeat ${verifies("S1", "S2", "S4", "R2", "R4")}`,
    async (service) => {
      onTestFailed(() => {
        process.stderr.write(`${mesh.log()}\n`);
      });
      const sent = await sendMessage({ client: client.gateway, request: { message: textMessage(slowly) } });
      const { sessionId, runId } = sent;
      const { events, conversation } = await follow(sent, nthTextOf(runId, 10), () => killAndRestart(service));
      await expectWhole(sessionId, runId, events);
      const run = runOf(conversation, runId);
      expect(run.items.filter((item) => item.kind === "block")).toMatchObject([{ complete: true }]);
      expect(run.state).toMatchObject({ kind: "finished", status: RunStatus.COMPLETED });
      const again = await sendMessage({
        client: client.gateway,
        request: { message: textMessage("tokens=3"), ...inSession(sessionId) },
      });
      expect(endsOf(await readUntilEnd(client, again), again.runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
    },
  );

  test.each(["toolrouter", "agent", "session"])(
    `%s, while a tool works: it is called at most once, and the call has one outcome ${verifies("T1", "R2")}`,
    async (service) => {
      onTestFailed(() => {
        process.stderr.write(`${mesh.log()}\n`);
      });
      const before = callsOf("slow");
      const sent = await sendMessage({
        client: client.gateway,
        request: { message: textMessage('call probe.slow {"ms":2000}') },
      });
      const { sessionId, runId } = sent;
      const { events } = await follow(
        sent,
        ({ body }) => body.case === "toolCallStarted",
        async () => {
          await eventually("the probe was called", () => (callsOf("slow") > before ? true : undefined));
          await killAndRestart(service);
        },
      );
      await expectWhole(sessionId, runId, events);
      expect(callsOf("slow")).toBe(before + 1);
      const outcomes = events.flatMap(({ body }) => (body.case === "toolCallFinished" ? [body.value.outcome] : []));
      expect(outcomes).toHaveLength(1);
      // Only the router's own death leaves the outcome in doubt.
      expect(outcomes[0]).toBe(service === "toolrouter" ? ToolOutcome.UNKNOWN : ToolOutcome.SUCCEEDED);
    },
  );
});
