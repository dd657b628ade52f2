import { fromBinary } from "@bufbuild/protobuf";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it, onTestFinished } from "vitest";
import { DiscardReason } from "../../../gen/atoll/event/v1/block_events_pb.ts";
import { EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolRouterService } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import {
  as,
  person,
  type RunningSession,
  sendWords,
  startSessionService,
  workerToken,
} from "../../../test/support/session-service.ts";
import { systemClock } from "../../kernel/clock.ts";
import { ErrorReason } from "../../kernel/errors.ts";
import { createLog } from "../../kernel/log.ts";
import { RawSessionService } from "../../kernel/rpc/hops/raw-session-service.ts";
import {
  agent,
  ask,
  hang,
  type ModelScript,
  obligingRouter,
  type RouterHandlers,
  say,
  scriptedModels,
  stop,
} from "../agent.fixture.ts";
import type { AgentDeps } from "../agent-deps.ts";
import { createAgent } from "../register.ts";

const ways = ["inMemory", "remote"] as const;
let workers = 0;

async function startWorker(
  session: RunningSession,
  way: (typeof ways)[number],
  scripts: readonly ModelScript[],
  { capacity = 4, router = obligingRouter().handlers as RouterHandlers } = {},
) {
  workers += 1;
  const { models, requests } = scriptedModels(scripts);
  const logLines: string[] = [];
  const deps: AgentDeps = {
    session: createClient(RawSessionService, session[way]),
    toolRouter: createClient(
      ToolRouterService,
      createRouterTransport((routes) => routes.service(ToolRouterService, router)),
    ),
    models,
    agents: new Map([["main", agent]]),
    defaultAgent: "main",
    clock: systemClock,
    log: createLog({ level: "debug", format: "json", destination: { write: (line) => void logLines.push(line) } }),
    deltaWindowMs: 0,
    cachedSessions: 256,
  };
  const { worker } = createAgent(deps, { workerId: `wrk_${workers}`, capacity, workerToken, version: "test" });
  worker.start();
  onTestFinished(() => worker.close());
  await worker.attached();
  return { worker, requests, logLines };
}

/** Speaks its words one by one and waits for `more` before each. */
function slowly(more: () => Promise<unknown>, ...words: readonly string[]): ModelScript {
  return async function* () {
    yield { kind: "block-start", index: 0, block: "text" };
    for (const word of words) {
      await more();
      yield { kind: "text", index: 0, text: word };
    }
    yield { kind: "block-stop", index: 0, block: "text" };
    yield* stop();
  };
}

async function eventsOf({ client }: Pick<RunningSession, "client">, sessionId: string) {
  const page = await client.listEvents({ sessionId, pageSize: 1_000 }, as(person));
  return page.events.map((bytes) => fromBinary(EventSchema, bytes));
}

async function finishedRun({ client }: Pick<RunningSession, "client">, runId: string) {
  const { run } = await client.waitRun({ runId, timeoutMs: 20_000 }, as(person));
  return run;
}

async function kindsOf(session: Pick<RunningSession, "client">, sessionId: string) {
  return (await eventsOf(session, sessionId)).map(({ body }) => body.case);
}

describe.each(ways)("a worker, %s", (way) => {
  it(`takes a run to its end, tools included; its events are the session's ${verifies("R2")}`, async () => {
    const session = await startSessionService();
    const { requests } = await startWorker(session, way, [ask("files.read"), say("done")]);
    const { runId, sessionId } = await sendWords(session, "please");
    expect(await finishedRun(session, runId)).toMatchObject({ status: RunStatus.COMPLETED, attempt: 1 });
    expect(requests).toHaveLength(2);
    const events = await eventsOf(session, sessionId);
    expect(events.map(({ seq }) => Number(seq))).toEqual(events.map((_, n) => n + 1));
    const kinds = events.map(({ body }) => body.case);
    expect(kinds).toEqual(expect.arrayContaining(["messageReceived", "runQueued", "runStarted", "toolCallFinished"]));
    expect(kinds.filter((kind) => kind === "runFinished")).toHaveLength(1);
    expect(kinds.at(-1)).toBe("runFinished");
    expect(session.counts().held).toBe(0);
  });

  it("gives its credits back: many runs go through a worker that takes one at a time", async () => {
    const session = await startSessionService();
    await startWorker(
      session,
      way,
      Array.from({ length: 10 }, (_, n) => say(`answer ${n}`)),
      { capacity: 1 },
    );
    const sent = await Promise.all(Array.from({ length: 10 }, (_, n) => sendWords(session, `question ${n}`)));
    for (const { runId } of sent)
      expect(await finishedRun(session, runId)).toMatchObject({ status: RunStatus.COMPLETED });
  });

  it("remembers a session and shows the model its history", async () => {
    const session = await startSessionService();
    const { requests } = await startWorker(session, way, [say("one"), say("two")]);
    const { runId, sessionId } = await sendWords(session, "first");
    await finishedRun(session, runId);
    const second = await sendWords(session, "second", { sessionId });
    await finishedRun(session, second.runId);
    expect(requests[1]?.messages.map(({ content }) => content[0])).toMatchObject([
      { text: "first" },
      { text: "one" },
      { text: "second" },
    ]);
  });

  it("ends a run of an agent that it does not have with a reason", async () => {
    const session = await startSessionService();
    await startWorker(session, way, []);
    const { runId } = await sendWords(session, "please", { agentId: "stranger" });
    expect(await finishedRun(session, runId)).toMatchObject({
      status: RunStatus.FAILED,
      failure: { reason: ErrorReason.AGENT_NOT_FOUND },
    });
  });

  it("hears a cancel in the middle of a model call", async () => {
    const session = await startSessionService();
    await startWorker(session, way, [hang]);
    const { runId, sessionId } = await sendWords(session, "please");
    await expect.poll(() => kindsOf(session, sessionId)).toContain("textDelta");
    await session.client.cancelRun({ requestId: "c1", runId }, as(person));
    expect(await finishedRun(session, runId)).toMatchObject({ status: RunStatus.CANCELLED });
    const kinds = await kindsOf(session, sessionId);
    expect(kinds.filter((kind) => kind === "runFinished")).toHaveLength(1);
  });

  it("drains: it finishes what it has and takes nothing new", async () => {
    const session = await startSessionService();
    const gate = Promise.withResolvers<void>();
    const { worker } = await startWorker(session, way, [slowly(() => gate.promise, "at last"), say("never")]);
    const { runId, sessionId } = await sendWords(session, "first");
    await expect.poll(() => kindsOf(session, sessionId)).toContain("stepStarted");
    const drained = worker.drain();
    const waiting = await sendWords(session, "second");
    gate.resolve();
    await drained;
    expect(await finishedRun(session, runId)).toMatchObject({ status: RunStatus.COMPLETED });
    expect(await kindsOf(session, waiting.sessionId)).not.toContain("stepStarted");
    const next = await startWorker(session, way, [say("yes")]);
    expect(await finishedRun(session, waiting.runId)).toMatchObject({ status: RunStatus.COMPLETED });
    expect(next.requests).toHaveLength(1);
  });

  it(`gives its runs back when it closes, so that the next worker has them at once ${verifies("R2", "S8")}`, async () => {
    // Without the release the next worker would wait for the lease and the grace to end.
    const session = await startSessionService({ settings: { leaseTtlMs: 60_000, reattachGraceMs: 60_000 } });
    const { worker } = await startWorker(session, way, [hang]);
    const { runId, sessionId } = await sendWords(session, "please");
    await expect.poll(() => kindsOf(session, sessionId)).toContain("textDelta");
    await worker.close();
    await startWorker(session, way, [say("whole")]);
    expect(await finishedRun(session, runId)).toMatchObject({ status: RunStatus.COMPLETED, attempt: 2, epoch: 2n });
    const events = await eventsOf(session, sessionId);
    const discarded = events.flatMap(({ body }) => (body.case === "stepDiscarded" ? [body.value] : []));
    expect(discarded).toMatchObject([{ step: 1, attempt: 1, reason: DiscardReason.TAKEOVER }]);
    expect(events.filter(({ body }) => body.case === "runFinished")).toHaveLength(1);
  });
});

describe("a worker whose session service goes away", () => {
  it(`goes on, attaches to the next one and sends again what was not acknowledged ${verifies("L4", "S1")}`, async () => {
    const first = await startSessionService({ settings: { reattachGraceMs: 20_000 } });
    let allowed = 3;
    let wake = Promise.withResolvers<void>();
    const more = async () => {
      while (allowed === 0) await wake.promise;
      allowed -= 1;
    };
    const words = Array.from({ length: 30 }, (_, n) => `word${n} `);
    const { requests } = await startWorker(first, "remote", [slowly(more, ...words), say("credits are back")], {
      capacity: 1,
    });
    const { runId, sessionId } = await sendWords(first, "please");
    await expect.poll(() => kindsOf(first, sessionId)).toContain("textDelta");
    await first.stop();
    allowed = words.length;
    wake.resolve();
    wake = Promise.withResolvers();
    await systemClock.sleep(200);
    const second = await startSessionService({
      folder: first.folder,
      port: first.port,
      settings: { reattachGraceMs: 20_000 },
    });
    expect(await finishedRun(second, runId)).toMatchObject({ status: RunStatus.COMPLETED, attempt: 1, epoch: 1n });
    const events = await eventsOf(second, sessionId);
    expect(events.map(({ seq }) => Number(seq))).toEqual(events.map((_, n) => n + 1));
    expect(events.flatMap(({ body }) => (body.case === "textDelta" ? [body.value.text] : [])).join("")).toBe(
      words.join(""),
    );
    expect(requests).toHaveLength(1);
    const next = await sendWords(second, "more", { sessionId });
    expect(await finishedRun(second, next.runId)).toMatchObject({ status: RunStatus.COMPLETED });
  });

  it(`drops a run that somebody else has by now and writes nothing more of it ${verifies("L4")}`, async () => {
    const first = await startSessionService();
    const gate = Promise.withResolvers<void>();
    const late = await startWorker(first, "remote", [slowly(() => gate.promise, "too late"), say("free again")], {
      capacity: 1,
    });
    const { runId, sessionId } = await sendWords(first, "please");
    await expect.poll(() => kindsOf(first, sessionId)).toContain("stepStarted");
    await first.stop();
    // While it is away another worker takes the run up.
    const second = await startSessionService({ folder: first.folder, settings: { reattachGraceMs: 1 } });
    const other = await startWorker(second, "inMemory", [say("in time")]);
    expect(await finishedRun(second, runId)).toMatchObject({ status: RunStatus.COMPLETED, attempt: 2 });
    await other.worker.close();
    await second.stop();
    const third = await startSessionService({ folder: first.folder, port: first.port });
    await expect.poll(() => third.counts().workers).toBe(1);
    gate.resolve();
    await expect.poll(() => late.logLines.join("")).toContain("run lost");
    const said = (await eventsOf(third, sessionId)).flatMap(({ body }) =>
      body.case === "textDelta" ? [body.value.text] : [],
    );
    expect(said).toEqual(["in time"]);
    const next = await sendWords(third, "more", { sessionId });
    expect(await finishedRun(third, next.runId)).toMatchObject({ status: RunStatus.COMPLETED });
  });

  it("closes while it is away", async () => {
    const session = await startSessionService();
    const { worker } = await startWorker(session, "remote", [hang]);
    const { sessionId } = await sendWords(session, "please");
    await expect.poll(() => kindsOf(session, sessionId)).toContain("textDelta");
    await session.stop();
    await worker.close();
    expect(worker.isAttached()).toBe(false);
  });
});
