import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import {
  as,
  person,
  type RunningSession,
  sendWords,
  startSessionService,
  takeUp,
} from "../../../test/support/session-service.ts";
import { MemoryBus } from "../../kernel/bus/memory/memory-bus.ts";
import { ErrorReason, failureFacts } from "../../kernel/errors.ts";
import type { StoredEvent } from "../../kernel/event/stored-event.ts";
import { newId } from "../../kernel/id.ts";
import { attachByHand } from "../workers/hand-worker.fixture.ts";
import { openWatch } from "./watch-stream.fixture.ts";

/** Events of the log that `sendWords` begins: message, title, run. */
const firstEvents = 3;
/** Events of each message after that. */
const moreEvents = 2;

function expectDense(events: readonly StoredEvent[], afterSeq = 0): void {
  let seq = afterSeq;
  for (const event of events) {
    expect(event.firstSeq).toBe(seq + 1);
    ({ seq } = event);
  }
}

const remove = ({ client }: RunningSession, sessionId: string) =>
  client.deleteSession({ requestId: newId("req"), sessionId }, as(person));

describe("a watcher", () => {
  it("is told where its log stands before anything else", async () => {
    const session = await startSessionService();
    const { sessionId } = await sendWords(session, "a");
    const watch = openWatch(session);
    watch.create(1, sessionId, { cursor: { afterSeq: 1n } });
    expectDense(await watch.readThrough(1, firstEvents), 1);
    const { session: row } = await session.client.getSession(
      { by: { case: "sessionId", value: sessionId } },
      as(person),
    );
    expect(watch.frames[0]).toMatchObject({
      case: "created",
      value: { watchId: 1n, logId: row?.logId, headSeq: 3n, oldestSeq: 1n },
    });
    expect(watch.frames[1]).toMatchObject({ case: "batch", value: { watchId: 1n, logId: row?.logId, headSeq: 3n } });
  });

  it("gives signs of life while nothing happens, and they say what was delivered", async () => {
    const session = await startSessionService({ settings: { progressIntervalMs: 20 } });
    const { sessionId } = await sendWords(session, "a");
    const watch = openWatch(session);
    watch.create(1, sessionId);
    await watch.until(() => watch.frames.filter((frame) => frame.case === "progress").length >= 3);
    for (const frame of watch.frames) {
      if (frame.case === "progress") expect(frame.value).toMatchObject({ watchId: 1n, headSeq: BigInt(firstEvents) });
    }
  });

  it(`is refused a cursor that can't be served, with the reason, the oldest event and the head ${verifies("S5")}`, async () => {
    const session = await startSessionService();
    const { sessionId } = await sendWords(session, "a");
    const watch = openWatch(session);
    watch.create(1, sessionId, { cursor: { afterSeq: 4n } });
    watch.create(2, sessionId, { cursor: { logId: "log_other", afterSeq: 1n } });
    watch.create(3, sessionId, { cursor: { afterSeq: 3n } });
    const place = { metadata: { oldest_seq: "1", head_seq: "3" } };
    expect(await watch.endOf(1)).toMatchObject({ code: Code.OutOfRange, reason: ErrorReason.CURSOR_AHEAD, ...place });
    expect(await watch.endOf(2)).toMatchObject({ code: Code.OutOfRange, reason: ErrorReason.LOG_REPLACED, ...place });
    // The stream and its other watchers go on.
    await sendWords(session, "b", { sessionId });
    expectDense(await watch.readThrough(3, firstEvents + moreEvents), 3);
    expect(watch.isOver()).toBe(false);
  });

  it("ends with the session that it watches, and says so", async () => {
    const session = await startSessionService();
    const gone = await sendWords(session, "a");
    const kept = await sendWords(session, "b");
    const watch = openWatch(session);
    watch.create(1, gone.sessionId);
    watch.create(2, kept.sessionId);
    await Promise.all([watch.readThrough(1, firstEvents), watch.readThrough(2, firstEvents)]);
    await remove(session, gone.sessionId);
    expect(await watch.endOf(1)).toMatchObject({
      code: Code.NotFound,
      reason: ErrorReason.SESSION_NOT_FOUND,
      metadata: { session_id: gone.sessionId },
    });
    await sendWords(session, "c", { sessionId: kept.sessionId });
    expectDense(await watch.readThrough(2, firstEvents + moreEvents));
  });

  it(`is woken by what another log says, and reads its own ${verifies("L3")}`, async () => {
    const session = await startSessionService();
    const { sessionId } = await sendWords(session, "a");
    const watch = openWatch(session);
    watch.create(1, sessionId);
    await watch.readThrough(1, firstEvents);
    const bytes = Uint8Array.of(0x3a, 0x00, 0x08, 0x04, 0x10, 0x04);
    const events = [{ firstSeq: 4, seq: 4, bytes }];
    session.bus.publish({ tenant: "local", sessionId, logId: "log_other", events, headSeq: 4 });
    await sendWords(session, "b", { sessionId });
    const [, , , fourth] = await watch.readThrough(1, firstEvents + moreEvents);
    expect(fourth?.bytes).not.toEqual(bytes);
    expectDense(watch.events(1));
  });

  it("of a session without a name is told so, and of nothing at all is none: the stream breaks", async () => {
    const watch = openWatch(await startSessionService());
    watch.create(2, "");
    expect(await watch.endOf(2)).toMatchObject({ code: Code.InvalidArgument, reason: ErrorReason.FIELD_INVALID });
    expect(watch.isOver()).toBe(false);
    watch.send({ watchId: 1n });
    await watch.until(watch.isOver);
    const broke = watch.error() ?? expect.fail("it ended well");
    expect(failureFacts(broke)).toMatchObject({
      reason: ErrorReason.FIELD_INVALID,
      fields: [{ path: "create.target" }],
    });
  });

  it("of a run's token sees the run's session and no other", async () => {
    const session = await startSessionService();
    const mine = await sendWords(session, "mine");
    const other = await sendWords(session, "other");
    const watch = openWatch(session, await takeUp(session, mine.runId));
    watch.create(1, mine.sessionId);
    watch.create(2, other.sessionId);
    expect(await watch.endOf(2)).toMatchObject({ reason: ErrorReason.SESSION_NOT_FOUND });
    expectDense(await watch.readThrough(1, firstEvents));
  });
});

describe("cancelling a watcher", () => {
  it("ends it without an error, frees its number and all that it held", async () => {
    const subscriptions = new CountingBus();
    const session = await startSessionService({ bus: subscriptions });
    const { sessionId } = await sendWords(session, "a");
    const watch = openWatch(session);
    for (const watchId of [1, 2]) watch.create(watchId, sessionId);
    for (const watchId of [1, 2]) await watch.readThrough(watchId, firstEvents);
    await watch.until(() => subscriptions.open === 2);
    watch.cancel(1);
    expect(await watch.endOf(1)).toMatchObject({ code: 0, reason: 0, message: "" });
    await watch.until(() => subscriptions.open === 1);
    const before = watch.events(1).length;
    await sendWords(session, "b", { sessionId });
    await watch.readThrough(2, firstEvents + moreEvents);
    expect(watch.events(1)).toHaveLength(before);
    watch.create(1, sessionId, { cursor: { afterSeq: 4n } });
    expect((await watch.readThrough(1, 5)).at(-1)?.seq).toBe(5);
    watch.leave();
    await watch.until(() => subscriptions.open === 0);
  });

  it("that is not there does nothing", async () => {
    const session = await startSessionService();
    const { sessionId } = await sendWords(session, "a");
    const watch = openWatch(session);
    watch.cancel(7);
    watch.create(1, sessionId);
    expectDense(await watch.readThrough(1, firstEvents));
    expect(watch.frames.some((frame) => frame.case === "cancelled")).toBe(false);
  });

  it("by half-closing the stream lets its watchers go on, and the stream ends with the last of them", async () => {
    const session = await startSessionService();
    const { sessionId } = await sendWords(session, "a");
    const watch = openWatch(session);
    watch.create(1, sessionId);
    await watch.readThrough(1, firstEvents);
    watch.halfClose();
    await sendWords(session, "b", { sessionId });
    expectDense(await watch.readThrough(1, firstEvents + moreEvents));
    expect(watch.isOver()).toBe(false);
    await remove(session, sessionId);
    await watch.endOf(1);
    await watch.until(watch.isOver);
    expect(watch.error()).toBeUndefined();
    const idle = openWatch(session);
    idle.halfClose();
    await idle.until(idle.isOver);
  });
});

describe(`many watchers on one stream ${verifies("S6")}`, () => {
  it(`are all told the same, live and from the past ${verifies("S1", "S2")}`, async () => {
    const watchers = 1_000;
    const sessions = 10;
    const session = await startSessionService();
    const worker = await attachByHand(session.inMemory, "hand", { credits: sessions });
    const made = await Promise.all(Array.from({ length: sessions }, () => sendWords(session, "a")));
    const watch = openWatch(session);
    for (let watchId = 1; watchId <= watchers; watchId++) {
      watch.create(watchId, made[watchId % sessions]?.sessionId ?? "", { cursor: { afterSeq: BigInt(watchId % 3) } });
    }
    const told = (kind: string): number => watch.frames.filter((frame) => frame.case === kind).length;
    await watch.until(() => told("created") === watchers);
    for (let count = 0; count < sessions; count++) {
      const offer = await worker.hear("offer");
      for (let batchNo = 1; batchNo <= 5; batchNo++) {
        worker.append(offer, batchNo, { case: "phaseChanged", value: {} }, { case: "phaseChanged", value: {} });
      }
    }
    // The log's beginning, RunStarted, and five batches of two.
    const headSeq = firstEvents + 1 + 10;
    const headOf = new Map<bigint, number>();
    await watch.until(() => {
      for (const frame of watch.frames) {
        if (frame.case === "batch") headOf.set(frame.value.watchId, Number(frame.value.headSeq));
      }
      return headOf.size === watchers && [...headOf.values()].every((seq) => seq >= headSeq);
    });
    const whole = new Map<number, Map<number, string>>();
    for (let watchId = 1; watchId <= watchers; watchId++) {
      const events = watch.events(watchId);
      expectDense(events, watchId % 3);
      expect(events.at(-1)?.seq).toBe(headSeq);
      const known = whole.get(watchId % sessions) ?? new Map<number, string>();
      whole.set(watchId % sessions, known);
      for (const { seq, bytes } of events) {
        const said = Buffer.from(bytes).toString("base64");
        expect(known.get(seq) ?? said).toBe(said);
        known.set(seq, said);
      }
    }
    expect(told("cancelled")).toBe(0);
  });

  it(`have a bound: one more is refused by name, and a place that is freed can be taken ${verifies("L7")}`, async () => {
    const maxWatchers = 100;
    const session = await startSessionService({ settings: { maxWatchers } });
    const { sessionId } = await sendWords(session, "a");
    const watch = openWatch(session);
    for (let watchId = 1; watchId <= maxWatchers + 1; watchId++) {
      watch.create(watchId, sessionId, { cursor: { afterSeq: BigInt(firstEvents) } });
    }
    expect(await watch.endOf(maxWatchers + 1)).toMatchObject({
      code: Code.ResourceExhausted,
      reason: ErrorReason.LIMIT_EXCEEDED,
      metadata: { limit: String(maxWatchers) },
    });
    watch.cancel(1);
    await watch.endOf(1);
    watch.create(maxWatchers + 2, sessionId);
    expectDense(await watch.readThrough(maxWatchers + 2, firstEvents));
  });

  it("keep a number to one watcher at a time, and the one that has it goes on", async () => {
    const session = await startSessionService();
    const { sessionId } = await sendWords(session, "a");
    const watch = openWatch(session);
    watch.create(1, sessionId);
    watch.create(1, sessionId);
    expect(await watch.endOf(1)).toMatchObject({
      reason: ErrorReason.FIELD_INVALID,
      metadata: { field: "create.watch_id" },
    });
    await sendWords(session, "b", { sessionId });
    expectDense(await watch.readThrough(1, firstEvents + moreEvents));
  });
});

/** Counts the subscriptions that are open. */
class CountingBus extends MemoryBus {
  open = 0;

  constructor() {
    super(() => undefined);
  }

  override subscribe(...args: Parameters<MemoryBus["subscribe"]>): () => void {
    const end = super.subscribe(...args);
    this.open += 1;
    return () => {
      this.open -= 1;
      end();
    };
  }
}
