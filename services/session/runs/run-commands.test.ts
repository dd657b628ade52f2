import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { QueueMode, RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { RunState } from "../../../gen/atoll/session/v1/run_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import {
  as,
  person,
  type RunningSession,
  sendWords,
  startSessionService,
} from "../../../test/support/session-service.ts";
import { ErrorReason, failedWith } from "../../kernel/errors.ts";
import { newId } from "../../kernel/id.ts";
import { attachByHand, heldOf } from "../workers/hand-worker.fixture.ts";

const finish = { case: "runFinished", value: { status: RunStatus.COMPLETED } } as const;
const stepStarted = (messageIds: string[] = []) => ({ case: "stepStarted", value: { messageIds } }) as const;
const steer = { queueMode: QueueMode.STEER };

async function readLog({ client }: RunningSession, sessionId: string): Promise<Event[]> {
  const { events } = await client.listEvents({ sessionId }, as(person));
  return events.map((bytes) => fromBinary(EventSchema, bytes));
}

const endsOf = (events: readonly Event[]) =>
  events.flatMap(({ runId, body }) => (body.case === "runFinished" ? [{ runId, status: body.value.status }] : []));

const cancel = ({ client }: RunningSession, runId: string) =>
  client.cancelRun({ requestId: newId("req"), runId, reason: "enough" }, as(person));

describe("a message that steers", () => {
  it(`is told to the worker once on a stream, until a batch has acted on it ${verifies("R3")}`, async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1");
    const { sessionId, runId } = await sendWords(session, "hello");
    const offer = await worker.hear("offer");
    const sent = await sendWords(session, "rather in French", { sessionId, ...steer });
    expect(sent.runId).toBe(runId);
    const expected = { runId, commandId: 1n, command: { case: "steer", value: { messageId: sent.messageId } } };
    expect(await worker.hear("command")).toMatchObject(expected);
    worker.renew(offer);
    await worker.hear("renewed");
    expect(worker.waiting("command")).toBe(0);
    const back = await attachByHand(session.inMemory, "w1", { credits: 0, held: [offer] });
    expect(await back.hear("command")).toMatchObject(expected);
    back.act(1n);
    back.append(offer, 1, stepStarted([sent.messageId]));
    await back.hear("accepted");
    const again = await attachByHand(session.inMemory, "w1", { credits: 0, held: [offer] });
    again.renew(offer);
    await again.hear("renewed");
    expect(again.waiting("command")).toBe(0);
    const { run } = await session.client.getRun({ runId }, as(person));
    expect(run?.messageIds).toHaveLength(2);
    const [received] = (await readLog(session, sessionId)).filter(
      ({ body }) => body.case === "messageReceived" && body.value.messageId === sent.messageId,
    );
    expect(received?.body).toMatchObject({ value: { runId, queueMode: QueueMode.STEER } });
  });

  it(`is told although several of them are larger than a frame ${verifies("R3")}`, async () => {
    // Nobody renews until all was told, however slow the machine is.
    const session = await startSessionService({ settings: { leaseTtlMs: 60_000 } });
    const worker = await attachByHand(session.inMemory, "w1");
    const { sessionId } = await sendWords(session, "hello");
    const offer = await worker.hear("offer");
    const source = { case: "inline" as const, value: new Uint8Array(262_144) };
    const image = { block: { case: "image" as const, value: { media: { source, mediaType: "image/png" } } } };
    const message = { content: Array.from({ length: 10 }, () => image) };
    for (let count = 0; count < 2; count++) {
      await session.client.submitMessage({ requestId: newId("req"), sessionId, message, ...steer }, as(person));
      await worker.hear("command");
    }
    worker.renew(offer);
    expect((await worker.hear("renewed")).lost).toEqual([]);
    const back = await attachByHand(session.inMemory, "w1", { credits: 0, held: [offer] });
    const heard = [await back.hear("command"), await back.hear("command")];
    expect(heard.map(({ commandId }) => commandId)).toEqual([1n, 2n]);
  });

  it(`is told to the next holder behind its offer ${verifies("R3", "R4")}`, async () => {
    const session = await startSessionService({ settings: { reattachGraceMs: 50 } });
    const lost = await attachByHand(session.inMemory, "w1");
    const { sessionId } = await sendWords(session, "hello");
    await lost.hear("offer");
    const sent = [1, 2, 3].map((each) => sendWords(session, `number ${each}`, { sessionId, ...steer }));
    const ids = (await Promise.all(sent)).map(({ messageId }) => messageId);
    lost.cut();
    const next = await attachByHand(session.inMemory, "w2");
    expect((await next.hear("offer")).run).toMatchObject({ epoch: 2n });
    const heard = [await next.hear("command"), await next.hear("command"), await next.hear("command")];
    expect(heard.map(({ commandId }) => commandId)).toEqual([1n, 2n, 3n]);
    const told = heard.map(({ command }) => (command.case === "steer" ? command.value.messageId : command.case));
    expect(new Set(told)).toEqual(new Set(ids));
  });

  it(`is told again when the instance was started anew and the worker is back ${verifies("R3")}`, async () => {
    const first = await startSessionService();
    const worker = await attachByHand(first.inMemory, "w1");
    const { sessionId } = await sendWords(first, "hello");
    const offer = await worker.hear("offer");
    await sendWords(first, "more", { sessionId, ...steer });
    await first.stop();
    const second = await startSessionService({ folder: first.folder, settings: { reattachGraceMs: 10_000 } });
    const back = await attachByHand(second.inMemory, "w1", { credits: 0, held: [offer] });
    expect((await back.hear("welcome")).lost).toEqual([]);
    expect(await back.hear("command")).toMatchObject({ commandId: 1n, command: { case: "steer" } });
  });

  it(`that was never read gets a run of its own, which is offered next ${verifies("R2", "R3")}`, async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1", { credits: 4 });
    const { sessionId, runId } = await sendWords(session, "hello");
    const offer = await worker.hear("offer");
    const { messageId } = await sendWords(session, "too late", { sessionId, ...steer });
    worker.append(offer, 1, finish);
    const next = await worker.hear("offer");
    expect(next.run).toMatchObject({ messageIds: [messageId], attempt: 1 });
    expect(next.run?.runId).not.toBe(runId);
    const kinds = (await readLog(session, sessionId)).map(({ body }) => body.case);
    expect(kinds.slice(-3)).toEqual(["runFinished", "runQueued", "runStarted"]);
    expect((await session.client.getRun({ runId }, as(person))).run?.messageIds).toHaveLength(1);
  });

  it(`is read by the step that names it, also when the worker never heard of the command ${verifies("R1", "R4")}`, async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1", { credits: 4 });
    const { sessionId, runId } = await sendWords(session, "hello");
    const offer = await worker.hear("offer");
    const { messageId } = await sendWords(session, "from the log", { sessionId, ...steer });
    worker.append(offer, 1, stepStarted([messageId]));
    await worker.hear("accepted");
    const again = await attachByHand(session.inMemory, "w1", { credits: 0, held: [offer] });
    again.renew(offer);
    await again.hear("renewed");
    expect(again.waiting("command")).toBe(0);
    again.append(offer, 2, finish);
    await again.hear("accepted");
    const kinds = (await readLog(session, sessionId)).map(({ body }) => body.case);
    expect(kinds.slice(-2)).toEqual(["stepStarted", "runFinished"]);
    expect((await session.client.getRun({ runId }, as(person))).run?.messageIds).toHaveLength(2);
  });

  it("is refused with QUEUE_FULL when 64 are open", async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1");
    const { sessionId } = await sendWords(session, "hello");
    await worker.hear("offer");
    for (let count = 0; count < 64; count++) await sendWords(session, `${count}`, { sessionId, ...steer });
    const refused = await sendWords(session, "one more", { sessionId, ...steer }).catch((error: unknown) => error);
    expect(failedWith(refused, ErrorReason.QUEUE_FULL)).toBe(true);
  });
});

describe("messages that are collected", () => {
  it(`are answered by one run ${verifies("R3")}`, async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1", { credits: 4 });
    const { sessionId } = await sendWords(session, "hello");
    const offer = await worker.hear("offer");
    const collect = { sessionId, queueMode: QueueMode.COLLECT };
    const one = await sendWords(session, "one", collect);
    const two = await sendWords(session, "two", collect);
    expect(two.runId).toBe(one.runId);
    worker.append(offer, 1, finish);
    const next = await worker.hear("offer");
    expect(next.run).toMatchObject({ runId: one.runId, messageIds: [one.messageId, two.messageId] });
    // It is taken: what comes now waits for the next one.
    expect((await sendWords(session, "three", collect)).runId).not.toBe(one.runId);
  });
});

describe("a cancel", () => {
  it(`is heard within 100 ms of its request, with no renewal ${verifies("R5")}`, async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1");
    const { runId } = await sendWords(session, "hello");
    await worker.hear("offer");
    const late = new Promise((resolve) => setTimeout(resolve, 100, "late"));
    void cancel(session, runId);
    expect(await Promise.race([worker.hear("command"), late])).toMatchObject({ command: { case: "cancel" } });
  });

  it(`reaches the workers of child sessions, and ends what waits there ${verifies("R5")}`, async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1", { credits: 8 });
    const parent = await sendWords(session, "hello");
    await worker.hear("offer");
    const child = await sendWords(session, "do it", { parentSessionId: parent.sessionId });
    await worker.hear("offer");
    const waiting = await sendWords(session, "and that", { sessionId: child.sessionId });
    const stranger = await sendWords(session, "something else");
    await worker.hear("offer");
    await cancel(session, parent.runId);
    const told = [(await worker.hear("command")).runId, (await worker.hear("command")).runId];
    expect(told).toEqual([parent.runId, child.runId]);
    const { run } = await session.client.waitRun({ runId: waiting.runId, timeoutMs: 5_000 }, as(person));
    expect(run).toMatchObject({ state: RunState.FINISHED, status: RunStatus.CANCELLED });
    expect(endsOf(await readLog(session, child.sessionId))).toEqual([
      { runId: waiting.runId, status: RunStatus.CANCELLED },
    ]);
    expect(worker.waiting("command")).toBe(0);
    expect(endsOf(await readLog(session, stranger.sessionId))).toEqual([]);
  });

  it(`of before the instance was started anew ends the run after the grace, whatever its worker does ${verifies("R2", "R5")}`, async () => {
    const first = await startSessionService({ settings: { cancelGraceMs: 60_000 } });
    const worker = await attachByHand(first.inMemory, "w1");
    const { sessionId, runId } = await sendWords(first, "hello");
    const offer = await worker.hear("offer");
    await cancel(first, runId);
    await first.stop();
    const second = await startSessionService({
      folder: first.folder,
      settings: { reattachGraceMs: 60_000, cancelGraceMs: 200 },
    });
    const back = await attachByHand(second.inMemory, "w1", { credits: 0, held: [offer] });
    expect(await back.hear("command")).toMatchObject({ command: { case: "cancel" } });
    const { run } = await second.client.waitRun({ runId, timeoutMs: 5_000 }, as(person));
    expect(run).toMatchObject({ state: RunState.FINISHED, status: RunStatus.CANCELLED });
    back.append(offer, 1, finish);
    expect(await back.hear("refused")).toMatchObject({ runId });
    expect(endsOf(await readLog(second, sessionId))).toEqual([{ runId, status: RunStatus.CANCELLED }]);
  });
});

describe("an instance that drains", () => {
  it(`asks its workers to attach elsewhere, takes no new ones, and keeps the runs ${verifies("R4")}`, async () => {
    const first = await startSessionService();
    const worker = await attachByHand(first.inMemory, "w1", { credits: 4 });
    const { sessionId, runId } = await sendWords(first, "hello");
    const offer = await worker.hear("offer");
    const drained = first.drain(5_000);
    expect(await worker.hear("drain")).toMatchObject({ closesInMs: 5_000 });
    await sendWords(first, "not given out any more");
    const refused = await attachByHand(first.inMemory, "w2");
    await expect(refused.hear("welcome")).rejects.toThrow("the stream ended");
    worker.append(offer, 1, stepStarted());
    await worker.hear("accepted");
    expect(worker.waiting("offer")).toBe(0);
    worker.cut();
    await drained;
    await first.stop();
    const second = await startSessionService({ folder: first.folder });
    const back = await attachByHand(second.inMemory, "w1", { credits: 4, held: [offer] });
    expect((await back.hear("welcome")).lost).toEqual([]);
    back.append(offer, 2, finish);
    expect(await back.hear("accepted")).toMatchObject({ batchNo: 2n });
    expect(endsOf(await readLog(second, sessionId))).toEqual([{ runId, status: RunStatus.COMPLETED }]);
    expect(heldOf(await back.hear("offer")).epoch).toBe(1n);
  });
});
