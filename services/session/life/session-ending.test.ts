import { fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { SessionState } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import { QueueMode, RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { RunState } from "../../../gen/atoll/session/v1/run_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import {
  as,
  person,
  type RunningSession,
  sendWords,
  startSessionService,
  takeUp,
} from "../../../test/support/session-service.ts";
import { ErrorReason, failedWith, failureFacts } from "../../kernel/errors.ts";
import { newId } from "../../kernel/id.ts";
import { FrameQueue } from "../../kernel/stream/frame-queue.ts";
import { attachByHand } from "../workers/hand-worker.fixture.ts";

const finishedAs = (status: RunStatus) => ({ case: "runFinished", value: { status } }) as const;
const textDelta = { case: "textDelta", value: { blockId: "1.1.0", offset: 0n, text: "hm" } } as const;

async function readLog({ client }: RunningSession, sessionId: string): Promise<Event[]> {
  const { events } = await client.listEvents({ sessionId }, as(person));
  return events.map((bytes) => fromBinary(EventSchema, bytes));
}

async function endsOf(session: RunningSession, sessionId: string) {
  const events = await readLog(session, sessionId);
  return events.flatMap(({ runId, body }) => (body.case === "runFinished" ? [[runId, body.value.status]] : []));
}

const close = ({ client }: RunningSession, sessionId: string, requestId: string = newId("req")) =>
  client.closeSession({ requestId, sessionId }, as(person));

const remove = ({ client }: RunningSession, sessionId: string, requestId: string = newId("req")) =>
  client.deleteSession({ requestId, sessionId }, as(person));

const notThere = (error: unknown) => failedWith(error, ErrorReason.SESSION_NOT_FOUND);

async function thrownBy(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => expect.fail("the call was not refused"),
    (error: unknown) => error,
  );
}

/** Watches a session; `ended` tells how the watcher ended. */
function watch({ client }: RunningSession, sessionId: string) {
  const requests = new FrameQueue<object>();
  const value = { watchId: 1n, target: { case: "sessionId", value: sessionId } };
  requests.offer({ frame: { case: "create", value } });
  const seen: Event[] = [];
  const created = Promise.withResolvers<void>();
  const ended = (async () => {
    for await (const { frame } of client.watch(requests as AsyncIterable<object>, as(person))) {
      if (frame.case === "created") created.resolve();
      if (frame.case === "batch") seen.push(...frame.value.events.map((bytes) => fromBinary(EventSchema, bytes)));
      if (frame.case === "cancelled") return frame.value;
    }
    return undefined;
  })();
  return { created: created.promise, ended, seen };
}

describe("closing a session", () => {
  it(`ends what waits at once and asks the active run's worker to stop; each has one end ${verifies("R2", "R5")}`, async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1");
    const { sessionId, runId } = await sendWords(session, "hello");
    const offer = await worker.hear("offer");
    const waiting = await sendWords(session, "and then", { sessionId });
    const later = session.client.waitRun({ runId: waiting.runId, timeoutMs: 20_000 }, as(person));
    const { session: closed } = await close(session, sessionId);
    expect(closed).toMatchObject({ state: SessionState.CLOSED, queuedRuns: 0, activeRunId: runId });
    expect(await worker.hear("command")).toMatchObject({ runId, command: { case: "cancel" } });
    expect((await later).run).toMatchObject({ state: RunState.FINISHED, status: RunStatus.CANCELLED });
    worker.append(offer, 1, finishedAs(RunStatus.CANCELLED));
    await worker.hear("accepted");
    expect(await endsOf(session, sessionId)).toEqual([
      [waiting.runId, RunStatus.CANCELLED],
      [runId, RunStatus.CANCELLED],
    ]);
    const states = (await readLog(session, sessionId)).flatMap(({ body }) =>
      body.case === "sessionUpdated" && body.value.fields.includes("state") ? [body.value.state] : [],
    );
    expect(states).toEqual([SessionState.CLOSED]);
  });

  it(`ends the active run itself when its worker does not stop ${verifies("R2", "R5")}`, async () => {
    const session = await startSessionService({ settings: { cancelGraceMs: 50 } });
    const worker = await attachByHand(session.inMemory, "w1");
    const { sessionId, runId } = await sendWords(session, "hello");
    const offer = await worker.hear("offer");
    await sendWords(session, "in French", { sessionId, queueMode: QueueMode.STEER });
    await close(session, sessionId);
    const { run } = await session.client.waitRun({ runId, timeoutMs: 10_000 }, as(person));
    expect(run).toMatchObject({ state: RunState.FINISHED, status: RunStatus.CANCELLED });
    worker.append(offer, 1, textDelta);
    expect(await worker.hear("refused")).toMatchObject({ runId });
    // What it was steered with gets no run of its own: the session answers nothing any more.
    expect(await endsOf(session, sessionId)).toEqual([[runId, RunStatus.CANCELLED]]);
    const { session: row } = await session.client.getSession(
      { by: { case: "sessionId", value: sessionId } },
      as(person),
    );
    expect(row).toMatchObject({ state: SessionState.CLOSED, activeRunId: "", queuedRuns: 0 });
  });

  it(`is answered again for the same request, also after a restart ${verifies("R1")}`, async () => {
    const first = await startSessionService();
    const { sessionId } = await sendWords(first, "hello");
    const answer = await close(first, sessionId, "close-1");
    expect(await close(first, sessionId, "close-1")).toEqual(answer);
    const { session: again } = await close(first, sessionId);
    expect(again).toEqual(answer.session);
    await first.stop();
    const second = await startSessionService({ folder: first.folder });
    expect(await close(second, sessionId, "close-1")).toEqual(answer);
    const error = await thrownBy(close(second, "ses_unknown", "close-1"));
    expect(failedWith(error, ErrorReason.REQUEST_ID_REUSED)).toBe(true);
    expect(notThere(await thrownBy(close(second, "ses_unknown")))).toBe(true);
  });

  it("keeps its watchers, who see everything to the end", async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1");
    const { sessionId } = await sendWords(session, "hello");
    const offer = await worker.hear("offer");
    const watcher = watch(session, sessionId);
    await watcher.created;
    await close(session, sessionId);
    worker.append(offer, 1, finishedAs(RunStatus.CANCELLED));
    await expect.poll(() => watcher.seen.at(-1)?.body.case).toBe("runFinished");
    expect(watcher.seen).toEqual(await readLog(session, sessionId));
  });
});

describe("deleting a session", () => {
  it("ends its watchers with a reason, at once", async () => {
    // Without word of the deletion they would find out with the next look at the log.
    const session = await startSessionService();
    const { sessionId } = await sendWords(session, "hello");
    const [one, other] = [watch(session, sessionId), watch(session, sessionId)];
    await Promise.all([one.created, other.created]);
    await remove(session, sessionId);
    const gone = { code: Code.NotFound, reason: ErrorReason.SESSION_NOT_FOUND, metadata: { session_id: sessionId } };
    expect(await one.ended).toMatchObject(gone);
    expect(await other.ended).toMatchObject(gone);
    expect(await watch(session, sessionId).ended).toMatchObject(gone);
  });

  it("ends who waits for one of its runs", async () => {
    const session = await startSessionService();
    const { sessionId, runId } = await sendWords(session, "hello");
    const waiting = thrownBy(session.client.waitRun({ runId, timeoutMs: 300_000 }, as(person)));
    await remove(session, sessionId);
    expect(failedWith(await waiting, ErrorReason.RUN_NOT_FOUND)).toBe(true);
  });

  it("leaves nothing to read or to write", async () => {
    const session = await startSessionService();
    const { sessionId } = await sendWords(session, "hello");
    await remove(session, sessionId);
    const { client } = session;
    const calls = [
      client.getSession({ by: { case: "sessionId", value: sessionId } }, as(person)),
      client.listEvents({ sessionId }, as(person)),
      client.getSnapshot({ sessionId }, as(person)),
      client.resetSession({ requestId: newId("req"), sessionId }, as(person)),
      close(session, sessionId),
      remove(session, sessionId),
      sendWords(session, "more", { sessionId }),
    ];
    for (const call of calls) expect(notThere(await thrownBy(call))).toBe(true);
    expect((await client.listSessions({}, as(person))).sessions).toEqual([]);
  });

  it(`tells the worker of its active run to stop, refuses what it still writes, and gives it other work ${verifies("R5")}`, async () => {
    const session = await startSessionService({ settings: { cancelGraceMs: 100 } });
    const worker = await attachByHand(session.inMemory, "w1", { credits: 2 });
    const { sessionId, runId } = await sendWords(session, "hello");
    const offer = await worker.hear("offer");
    await remove(session, sessionId);
    expect(await worker.hear("command")).toMatchObject({ runId, command: { case: "cancel" } });
    worker.append(offer, 1, textDelta);
    expect(await worker.hear("refused")).toMatchObject({ runId });
    // Nobody holds it any more.
    await expect.poll(session.counts).toMatchObject({ held: 0 });
    worker.renew(offer);
    expect((await worker.hear("renewed")).lost).toMatchObject([{ runId }]);
    const next = await sendWords(session, "another");
    expect((await worker.hear("offer")).run?.runId).toBe(next.runId);
  });

  it(`of a run whose worker is gone leaves nobody waiting for it ${verifies("R2")}`, async () => {
    const session = await startSessionService({ settings: { reattachGraceMs: 20 } });
    const worker = await attachByHand(session.inMemory, "w1");
    const { sessionId } = await sendWords(session, "hello");
    await worker.hear("offer");
    worker.cut();
    await remove(session, sessionId);
    await expect.poll(session.counts).toMatchObject({ held: 0 });
    const next = await attachByHand(session.inMemory, "w2");
    const other = await sendWords(session, "another");
    expect((await next.hear("offer")).run?.runId).toBe(other.runId);
  });

  it(`happens once for the same request, and frees its key ${verifies("R1")}`, async () => {
    const session = await startSessionService();
    const key = "agent:main:boats";
    const make = async () =>
      (await session.client.createSession({ requestId: newId("req"), key }, as(person))).session?.sessionId ?? "";
    const old = await make();
    await remove(session, old, "delete-1");
    const fresh = await make();
    expect(fresh).not.toBe(old);
    await remove(session, old, "delete-1");
    expect(await make()).toBe(fresh);
    const reused = await thrownBy(remove(session, fresh, "delete-1"));
    expect(failedWith(reused, ErrorReason.REQUEST_ID_REUSED)).toBe(true);
  });

  it(`stops its children's runs, and keeps the children ${verifies("R5")}`, async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1", { credits: 2 });
    const parent = await sendWords(session, "hello");
    await worker.hear("offer");
    const child = await sendWords(session, "do it", { parentSessionId: parent.sessionId });
    const offer = await worker.hear("offer");
    const waiting = await sendWords(session, "and that", { sessionId: child.sessionId });
    const watcher = watch(session, child.sessionId);
    await watcher.created;
    await remove(session, parent.sessionId);
    const told = [(await worker.hear("command")).runId, (await worker.hear("command")).runId];
    expect(told).toEqual([parent.runId, child.runId]);
    worker.append(offer, 1, finishedAs(RunStatus.CANCELLED));
    await expect.poll(() => watcher.seen.filter(({ body }) => body.case === "runFinished").length).toBe(2);
    expect(await endsOf(session, child.sessionId)).toEqual([
      [waiting.runId, RunStatus.CANCELLED],
      [child.runId, RunStatus.CANCELLED],
    ]);
  });
});

describe("a run's token", () => {
  it("gets the same answer for a session that it may not know of as for one that is not there", async () => {
    const session = await startSessionService();
    const mine = await sendWords(session, "mine");
    const key = "agent:main:secret";
    const { session: made } = await session.client.createSession({ requestId: newId("req"), key }, as(person));
    const other = await sendWords(session, "other", { sessionId: made?.sessionId ?? "" });
    const holder = as(await takeUp(session, mine.runId));
    const facts = async (call: Promise<unknown>) => {
      const error = await thrownBy(call);
      return { code: (error as ConnectError).code, ...failureFacts(ConnectError.from(error)) };
    };
    const get = (value: string) => facts(session.client.getSession({ by: { case: "key", value } }, holder));
    expect(await get(key)).toEqual({ ...(await get("agent:main:nothing")), metadata: { key } });
    const run = (runId: string) => facts(session.client.getRun({ runId }, holder));
    expect(await run(other.runId)).toEqual({ ...(await run("run_nothing")), metadata: { run_id: other.runId } });
    const stop = (runId: string) => facts(session.client.cancelRun({ requestId: newId("req"), runId }, holder));
    expect(await stop(other.runId)).toEqual({ ...(await stop("run_nothing")), metadata: { run_id: other.runId } });
    expect(await endsOf(session, other.sessionId)).toEqual([]);
  });
});
