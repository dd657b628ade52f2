import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import { RunState } from "../../../gen/atoll/session/v1/run_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import {
  as,
  person,
  type RunningSession,
  sendWords,
  startSessionService,
} from "../../../test/support/session-service.ts";
import { ErrorReason } from "../../kernel/errors.ts";
import { encodeEvent } from "../../kernel/event/encode-event.ts";
import { newId } from "../../kernel/id.ts";
import { attachByHand, heldOf } from "./hand-worker.fixture.ts";

const finish = { case: "runFinished", value: { status: RunStatus.COMPLETED } } as const;
const delta = (text: string, offset = 0) =>
  ({ case: "textDelta", value: { blockId: "1.1.0", offset: BigInt(offset), text } }) as const;

async function readLog({ client }: RunningSession, sessionId: string): Promise<Event[]> {
  const { events } = await client.listEvents({ sessionId }, as(person));
  return events.map((bytes) => fromBinary(EventSchema, bytes));
}

const endsOf = (events: readonly Event[]) =>
  events.flatMap(({ runId, body }) => (body.case === "runFinished" ? [{ runId, status: body.value.status }] : []));

const kindsOf = (events: readonly Event[]) => events.map(({ body }) => body.case);

describe("a worker", () => {
  it(`takes a run, appends its batches in order and ends it ${verifies("S1", "R2")}`, async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1");
    expect(await worker.hear("welcome")).toMatchObject({ leaseTtlMs: 5_000, lost: [] });
    const { sessionId, runId } = await sendWords(session, "hello");
    const offer = await worker.hear("offer");
    expect(offer.run).toMatchObject({ runId, sessionId, epoch: 1n, attempt: 1 });
    worker.append(offer, 1, delta("one "), delta("two", 4));
    worker.append(offer, 2, finish);
    expect(await worker.hear("accepted")).toMatchObject({ batchNo: 1n, firstSeq: 5n, lastSeq: 6n });
    expect(await worker.hear("accepted")).toMatchObject({ batchNo: 2n, firstSeq: 7n, lastSeq: 7n });
    const events = await readLog(session, sessionId);
    expect(events.map(({ firstSeq, seq }) => [firstSeq, seq])).toEqual([1n, 2n, 3n, 4n, 5n, 6n, 7n].map((n) => [n, n]));
    expect(endsOf(events)).toEqual([{ runId, status: RunStatus.COMPLETED }]);
    const { run } = await session.client.getRun({ runId }, as(person));
    expect(run).toMatchObject({ state: RunState.FINISHED, finishedSeq: 7n });
  });

  it(`that ends its run with open calls leaves each with an outcome, its first and only worker too ${verifies("F3")}`, async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1");
    const { sessionId } = await sendWords(session, "hello");
    const offer = await worker.hear("offer");
    const called = { callId: "a", tool: "files.read" };
    worker.append(offer, 1, { case: "toolCallProposed", value: called }, { case: "toolCallStarted", value: called });
    worker.append(offer, 2, { case: "toolCallProposed", value: { ...called, callId: "b" } }, finish);
    await worker.hear("accepted");
    // The proposal, what was missing of both calls, the end.
    const { firstSeq, lastSeq } = await worker.hear("accepted");
    expect(lastSeq - firstSeq + 1n).toBe(4n);
    const ending = (await readLog(session, sessionId)).slice(-3);
    expect(ending.map(({ body }) => body)).toMatchObject([
      { case: "toolCallFinished", value: { callId: "a", outcome: ToolOutcome.UNKNOWN } },
      { case: "toolCallFinished", value: { callId: "b", outcome: ToolOutcome.CANCELLED } },
      { case: "runFinished", value: { status: RunStatus.COMPLETED } },
    ]);
  });

  it(`is answered, not repeated, when it sends a batch again ${verifies("L4")}`, async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1");
    const { sessionId } = await sendWords(session, "hello");
    const offer = await worker.hear("offer");
    worker.append(offer, 1, delta("once"));
    const first = await worker.hear("accepted");
    worker.append(offer, 1, delta("once"));
    expect(await worker.hear("accepted")).toMatchObject({ firstSeq: first.firstSeq, lastSeq: first.lastSeq });
    expect(kindsOf(await readLog(session, sessionId)).filter((kind) => kind === "textDelta")).toHaveLength(1);
    worker.append(offer, 5, delta("too far"));
    expect(await worker.hear("refused")).toMatchObject({ reason: ErrorReason.BATCH_OUT_OF_ORDER });
  });

  it("may write neither the server's fields nor the server's events", async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1");
    await sendWords(session, "hello");
    const offer = await worker.hear("offer");
    worker.append(offer, 1, { case: "messageReceived", value: { messageId: "msg_forged" } });
    expect(await worker.hear("refused")).toMatchObject({ reason: ErrorReason.EVENT_NOT_ALLOWED });
    worker.append(offer, 1, finish, delta("after the end"));
    expect(await worker.hear("refused")).toMatchObject({ reason: ErrorReason.EVENT_NOT_ALLOWED });
  });

  it("is refused a body that does not decode, and goes on", async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1");
    const { sessionId, runId } = await sendWords(session, "hello");
    const offer = await worker.hear("offer");
    const withBody = (...body: number[]) => Uint8Array.from([...encodeEvent({ runId }), ...body]);
    // run_finished and text_delta whose inside is cut short; text_delta with half a letter.
    for (const broken of [withBody(0xaa, 2, 1, 0xff), withBody(0x3a, 2, 0x1a, 9), withBody(0x3a, 3, 0x1a, 1, 0xc3)]) {
      worker.appendEncoded(offer, 1, broken);
      expect(await worker.hear("refused")).toMatchObject({ batchNo: 1n, reason: ErrorReason.EVENT_NOT_ALLOWED });
    }
    worker.append(offer, 1, finish);
    expect(await worker.hear("accepted")).toMatchObject({ batchNo: 1n });
    expect(kindsOf(await readLog(session, sessionId)).slice(-2)).toEqual(["runStarted", "runFinished"]);
  });

  it(`gets a session's next run when the one before has ended ${verifies("R3")}`, async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1", { credits: 4 });
    const first = await sendWords(session, "first");
    const second = await sendWords(session, "second", { sessionId: first.sessionId });
    const offer = await worker.hear("offer");
    expect(offer.run?.runId).toBe(first.runId);
    worker.append(offer, 1, delta("busy"));
    await worker.hear("accepted");
    expect(worker.waiting("offer")).toBe(0);
    worker.append(offer, 2, finish);
    expect((await worker.hear("offer")).run?.runId).toBe(second.runId);
  });

  it("that drains is offered nothing more", async () => {
    const session = await startSessionService();
    const drained = await attachByHand(session.inMemory, "w1", { credits: 10 });
    await drained.hear("welcome");
    drained.say({ case: "drain", value: { $typeName: "atoll.session.v1.WorkerDrain", reason: "test" } });
    drained.renew();
    await drained.hear("renewed");
    const { runId } = await sendWords(session, "for the other one");
    const other = await attachByHand(session.inMemory, "w2");
    expect((await other.hear("offer")).run).toMatchObject({ runId, attempt: 1 });
    expect(drained.waiting("offer")).toBe(0);
  });
});

describe("a lost worker", () => {
  it(`loses its run to another one after the grace, and its late batches are refused ${verifies("R2", "L4")}`, async () => {
    const session = await startSessionService({ settings: { reattachGraceMs: 100 } });
    const lost = await attachByHand(session.inMemory, "w1");
    const { sessionId, runId } = await sendWords(session, "hello");
    const offer = await lost.hear("offer");
    lost.append(offer, 1, delta("half an ans"));
    await lost.hear("accepted");
    lost.cut();
    const next = await attachByHand(session.inMemory, "w2", { credits: 2 });
    const again = await next.hear("offer");
    expect(again.run).toMatchObject({ runId, epoch: 2n, attempt: 2 });
    const late = await attachByHand(session.inMemory, "w1", { credits: 0, held: [offer] });
    expect((await late.hear("welcome")).lost).toMatchObject([{ runId, epoch: 1n }]);
    late.append(offer, 2, delta("wer", 11));
    expect(await late.hear("refused")).toMatchObject({ reason: ErrorReason.EPOCH_FENCED });
    next.append(again, 1, finish);
    await next.hear("accepted");
    const events = await readLog(session, sessionId);
    expect(kindsOf(events).slice(-2)).toEqual(["runResumed", "runFinished"]);
    expect(endsOf(events)).toHaveLength(1);
  });

  it(`that only falls silent is noticed after the lease's time ${verifies("L4")}`, async () => {
    const session = await startSessionService({ settings: { leaseTtlMs: 300 } });
    const silent = await attachByHand(session.inMemory, "w1");
    const { runId } = await sendWords(session, "hello");
    const offer = await silent.hear("offer");
    const next = await attachByHand(session.inMemory, "w2");
    expect((await next.hear("offer")).run).toMatchObject({ runId, epoch: 2n });
    silent.append(offer, 1, delta("late"));
    expect(await silent.hear("refused")).toMatchObject({ reason: ErrorReason.EPOCH_FENCED, epoch: 1n });
    silent.renew(offer);
    expect((await silent.hear("renewed")).lost).toMatchObject([{ runId }]);
  });

  it("keeps its run when it renews, and when it attaches again in time", async () => {
    const session = await startSessionService({ settings: { leaseTtlMs: 300, reattachGraceMs: 2_000 } });
    const worker = await attachByHand(session.inMemory, "w1");
    await sendWords(session, "hello");
    const offer = await worker.hear("offer");
    const rival = await attachByHand(session.inMemory, "w2");
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      worker.renew(offer);
      expect((await worker.hear("renewed")).lost).toEqual([]);
    }
    worker.cut();
    const back = await attachByHand(session.inMemory, "w1", { credits: 0, held: [offer] });
    expect((await back.hear("welcome")).lost).toEqual([]);
    back.append(offer, 1, finish);
    expect(await back.hear("accepted")).toMatchObject({ batchNo: 1n });
    expect(rival.waiting("offer")).toBe(0);
  });

  it("hands its run on at once when it gives it back", async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1");
    const { runId } = await sendWords(session, "hello");
    const offer = await worker.hear("offer");
    const next = await attachByHand(session.inMemory, "w2");
    await next.hear("welcome");
    worker.say({
      case: "release",
      value: { $typeName: "atoll.session.v1.ReleaseRun", run: heldOf(offer), reason: "" },
    });
    expect((await next.hear("offer")).run).toMatchObject({ runId, attempt: 2 });
  });

  it(`leaves a run that ends as failed after the last attempt ${verifies("R2")}`, async () => {
    const session = await startSessionService({ settings: { maxAttempts: 2 } });
    const worker = await attachByHand(session.inMemory, "w1", { credits: 10 });
    const { sessionId, runId } = await sendWords(session, "hello");
    for (let attempt = 1; attempt <= 2; attempt++) {
      const offer = await worker.hear("offer");
      expect(offer.run?.attempt).toBe(attempt);
      worker.say({
        case: "release",
        value: { $typeName: "atoll.session.v1.ReleaseRun", run: heldOf(offer), reason: "" },
      });
    }
    await session.client.waitRun({ runId, timeoutMs: 5_000 }, as(person));
    expect(endsOf(await readLog(session, sessionId))).toEqual([{ runId, status: RunStatus.FAILED }]);
  });

  it(`of an instance that died is found when the next one starts ${verifies("R2")}`, async () => {
    const first = await startSessionService();
    const worker = await attachByHand(first.inMemory, "w1");
    const { runId } = await sendWords(first, "hello");
    await worker.hear("offer");
    await first.stop();
    const second = await startSessionService({ folder: first.folder, settings: { reattachGraceMs: 50 } });
    const next = await attachByHand(second.inMemory, "w2");
    expect((await next.hear("offer")).run).toMatchObject({ runId, epoch: 2n, attempt: 2 });
  });
});

describe("a cancelled run", () => {
  const cancel = ({ client }: RunningSession, runId: string) =>
    client.cancelRun({ requestId: newId("req"), runId, reason: "enough" }, as(person));

  it(`that waits ends at once ${verifies("R2")}`, async () => {
    const session = await startSessionService();
    const { sessionId, runId } = await sendWords(session, "hello");
    expect((await cancel(session, runId)).run).toMatchObject({ state: RunState.FINISHED, status: RunStatus.CANCELLED });
    expect(endsOf(await readLog(session, sessionId))).toEqual([{ runId, status: RunStatus.CANCELLED }]);
  });

  it("is told to its worker at once, and again when that has attached again", async () => {
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "w1");
    const { runId } = await sendWords(session, "hello");
    const offer = await worker.hear("offer");
    await cancel(session, runId);
    const expected = { runId, command: { case: "cancel", value: { cancelledBy: "user:ada" } } };
    expect(await worker.hear("command")).toMatchObject(expected);
    worker.cut();
    const back = await attachByHand(session.inMemory, "w1", { credits: 0, held: [offer] });
    expect(await back.hear("command")).toMatchObject(expected);
  });

  it(`is ended by the service when its worker does not, and the worker is fenced ${verifies("R2", "L4")}`, async () => {
    const session = await startSessionService({ settings: { cancelGraceMs: 100 } });
    const worker = await attachByHand(session.inMemory, "w1");
    const { sessionId, runId } = await sendWords(session, "hello");
    const offer = await worker.hear("offer");
    await cancel(session, runId);
    const { run } = await session.client.waitRun({ runId, timeoutMs: 5_000 }, as(person));
    expect(run).toMatchObject({ state: RunState.FINISHED, status: RunStatus.CANCELLED });
    worker.append(offer, 1, finish);
    expect(await worker.hear("refused")).toMatchObject({ reason: ErrorReason.EPOCH_FENCED });
    expect(endsOf(await readLog(session, sessionId))).toEqual([{ runId, status: RunStatus.CANCELLED }]);
  });
});
