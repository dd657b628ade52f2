// The contract of SessionStore.forkSession: a session of its own that begins with another one's events.

import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { SessionState } from "../../gen/atoll/event/v1/log_events_pb.ts";
import { encodeEvent } from "../../services/kernel/event/encode-event.ts";
import type { StoredEvent } from "../../services/kernel/event/stored-event.ts";
import type { Forked, ForkRefusal, SessionFork } from "../../services/session/store/changes.ts";
import type { SessionRow } from "../../services/session/store/rows.ts";
import { sessionStates } from "../../services/session/store/session-states.ts";
import type { Answered } from "../../services/session/store/session-store.ts";
import { verifies } from "../requirements.ts";
import {
  accept,
  append,
  batchOf,
  claimOne,
  decodeEvents,
  delta,
  lastBatchOf,
  makeSession,
  newMessage,
  otherTenant,
  outcomeOf,
  readAnswer,
  readLog,
  request,
  runFinished,
  type SessionStoreDriver,
  StoreUnderTest,
  scope,
  startRun,
  wish,
} from "./session-store-fixture.ts";

export function sessionForkSuite(driver: SessionStoreDriver): void {
  describe("forks", () => {
    const test = new StoreUnderTest(driver);

    const forkOf = (sessionId: string, changes: Partial<SessionFork> = {}): SessionFork => ({
      ...{
        sessionId,
        atSeq: 0,
        forkId: randomUUID(),
        logId: randomUUID(),
        key: "",
        agentId: "",
        title: "",
        maxBytes: 1e9,
      },
      ending: ({ runId, attempt }) =>
        encodeEvent({ runId, attempt, body: { case: "runFinished", value: { status: 3, cancelledBy: "fork" } } }),
      update: ({ title, state }, fields) =>
        encodeEvent({
          body: { case: "sessionUpdated", value: { fields: [...fields], title, state: sessionStates[state] } },
        }),
      ...changes,
    });

    const tryFork = (
      sessionId: string,
      changes: Partial<SessionFork> = {},
      by = scope,
    ): Promise<Answered<Forked> | ForkRefusal> =>
      test.store.forkSession(
        by,
        request(({ session }) => session.sessionId),
        forkOf(sessionId, changes),
      );

    const fork = async (sessionId: string, changes: Partial<SessionFork> = {}): Promise<Forked> =>
      outcomeOf(await tryFork(sessionId, changes));

    async function getSession(sessionId: string): Promise<SessionRow> {
      const row = await test.store.getSession(scope, { sessionId });
      if (row === undefined) throw new Error("the session is not there");
      return row;
    }

    async function readAll(sessionId: string): Promise<readonly StoredEvent[]> {
      const page = await test.store.readEvents(scope, sessionId, { afterSeq: 0, maxEvents: 1e6, maxBytes: 1e9 });
      if (page.kind !== "page") throw new Error("the session is not there");
      return page.events;
    }

    /** A log of many kinds of runs: one that ended, one that is taken up the second time, one steered, two that wait. */
    async function writeLog(): Promise<string> {
      const { run: ended } = await startRun(test.store);
      const { sessionId } = ended;
      await append(test.store, batchOf(ended, 1, { events: ["a", "b", "c"].map((text) => delta(ended.runId, text)) }));
      await append(test.store, lastBatchOf(ended, 2));
      for (let i = 0; i < 3; i++) await accept(test.store, sessionId);
      const { run } = await claimOne(test.store);
      await append(test.store, batchOf(run, 1));
      await accept(test.store, sessionId, { entry: { kind: "steer", command: new Uint8Array() } });
      await test.store.takeOverRun(run, ({ runId, attempt }) => [
        encodeEvent({ runId, attempt, body: { case: "runResumed", value: { attempt } } }),
      ]);
      return sessionId;
    }

    /** Run ids as the log names them, with how many ends each has. */
    function endsOf(events: readonly StoredEvent[]): Map<string, number> {
      const ends = new Map<string, number>();
      for (const { body, runId } of decodeEvents(events)) {
        const named = body.case === "messageReceived" ? body.value.runId : runId;
        if (named !== "") ends.set(named, (ends.get(named) ?? 0) + (body.case === "runFinished" ? 1 : 0));
      }
      return ends;
    }

    it(`begin with the same events, wherever they end, and end each of their runs once ${verifies("S1", "R2")}`, async () => {
      const sessionId = await writeLog();
      const log = await readLog(test.store, sessionId);
      const original = await getSession(sessionId);
      const forks = await Promise.all(log.map(({ seq }) => fork(sessionId, { atSeq: seq })));
      await test.reopen();
      for (const [index, { session, appended }] of forks.entries()) {
        const copied = await readLog(test.store, session.sessionId);
        expect(copied.slice(0, index + 1)).toEqual(log.slice(0, index + 1));
        expect(copied.slice(index + 1)).toEqual(appended.events);
        const ends = endsOf(copied);
        expect([...ends.values()]).toEqual([...ends.keys()].map(() => 1));
        expect(await getSession(session.sessionId)).toEqual(session);
        expect(session.logBytes).toBe(copied.reduce((sum, { bytes }) => sum + framed(bytes), 0));
      }
      expect(await getSession(sessionId)).toEqual(original);
      expect(await readLog(test.store, sessionId)).toEqual(log);
    });

    /** Bytes of an event in a row: itself, a tag and a short length. */
    const framed = (bytes: Uint8Array): number => bytes.length + (bytes.length < 128 ? 2 : 3);

    it("end the runs in the order in which they began, each with the attempt that it had come to", async () => {
      const sessionId = await writeLog();
      const { appended } = await fork(sessionId);
      const runs = [...new Set(decodeEvents(await readLog(test.store, sessionId)).map(({ runId }) => runId))];
      expect(decodeEvents(appended.events).map(({ runId, attempt }) => [runId, attempt])).toEqual(
        runs
          .filter((runId) => runId !== "")
          .slice(1)
          .map((runId, index) => [runId, index === 0 ? 2 : 0]),
      );
    });

    it(`end each run once as well when retention has removed its beginning ${verifies("R2")}`, async () => {
      const { run: first } = await startRun(test.store);
      const { sessionId, runId } = first;
      await accept(test.store, sessionId);
      const text = { case: "textDelta" as const, value: { blockId: "1.1.0", offset: 0n, text: "x" } };
      for (const batchNo of [1, 2, 3, 4]) {
        await append(test.store, batchOf(first, batchNo, { events: [encodeEvent({ runId, attempt: 1, body: text })] }));
        if (batchNo === 2) await accept(test.store, sessionId, { entry: { kind: "steer", command: new Uint8Array() } });
      }
      await append(test.store, { ...lastBatchOf(first, 5), actedCommandId: 1 });
      const { run: second } = await claimOne(test.store);
      await append(test.store, batchOf(second, 1));
      await append(test.store, lastBatchOf(second, 2));
      const bounds = { keepFromMs: 0, maxEvents: 7, maxBytes: 0 };
      await test.store.trimLogs({ bounds, cursor: "", maxSessions: 9, maxRows: 99 });
      expect(await getSession(sessionId)).toMatchObject({ oldestSeq: 8, headSeq: 14 });
      for (const [atSeq, open] of [
        // A message that steered it.
        [8, [[runId, 0]]],
        [9, [[runId, 1]]],
        [10, [[runId, 1]]],
        [11, []],
        [12, [[second.runId, 0]]],
        [13, [[second.runId, 0]]],
        [14, []],
      ] as const) {
        const { session, appended } = await fork(sessionId, { atSeq });
        expect(decodeEvents(appended.events).map((ending) => [ending.runId, ending.attempt])).toEqual(open);
        const ends = endsOf(await readAll(session.sessionId));
        expect([...ends.values()]).toEqual([...ends.keys()].map(() => 1));
        expect((await fork(session.sessionId)).appended.events).toEqual([]);
      }
    });

    it("are sessions of their own with the facts of the original", async () => {
      const asked = {
        agentId: "",
        key: "k",
        title: "Boats",
        labels: { team: "blue" },
        profile: Uint8Array.of(1),
        parentSessionId: "p",
      };
      const { sessionId } = await makeSession(test.store, asked);
      await accept(test.store, sessionId);
      const original = await getSession(sessionId);
      test.nowMs += 5;
      const { session } = await fork(sessionId, { forkId: "fork", logId: "log", key: "k2" });
      expect(session).toEqual({
        ...original,
        ...{ sessionId: "fork", logId: "log", key: "k2", parentSessionId: "", queuedRuns: 0, headSeq: 3 },
        ...{ forkedFromSessionId: sessionId, forkedAtSeq: 2, indexSeq: session.indexSeq, logBytes: session.logBytes },
        ...{ createdAtMs: test.nowMs, updatedAtMs: test.nowMs },
      });
      const message = await accept(test.store, "fork");
      const claimed = await test.store.claimRuns({ limit: 9, events: () => [] });
      expect(claimed.map(({ run }) => run.sessionId)).toEqual([sessionId, "fork"]);
      expect((await append(test.store, lastBatchOf({ ...message.run, epoch: 1 }, 1))).firstSeq).toBe(6);
      expect((await getSession(sessionId)).headSeq).toBe(2);
    });

    it("say what is another than the copied events have it", async () => {
      const { sessionId } = await makeSession(test.store);
      const title = { title: "Old", fields: ["title"] };
      await accept(test.store, sessionId, {
        events: () => [encodeEvent({ body: { case: "sessionUpdated", value: title } })],
      });
      const closed = encodeEvent({
        body: { case: "sessionUpdated", value: { fields: ["state"], state: SessionState.CLOSED } },
      });
      await test.store.closeSession(
        scope,
        request(() => ""),
        { sessionId, wish: wish(), event: () => closed },
      );
      const { session, appended } = await fork(sessionId, { title: "New", agentId: "other" });
      expect(session).toMatchObject({ title: "New", agentId: "other", state: "created" });
      const [update] = decodeEvents(appended.events);
      expect(update?.body.value).toMatchObject({ fields: ["title", "state"], title: "New" });
      expect((await fork(sessionId, { atSeq: 1, title: "Old" })).appended.events).toEqual([]);
    });

    it("keep what was hidden from the model there", async () => {
      const { sessionId } = await makeSession(test.store);
      const value = { fields: ["context_floor_seq"], contextFloorSeq: 2n };
      await accept(test.store, sessionId);
      const event = () => encodeEvent({ body: { case: "sessionUpdated", value } });
      const reset = { sessionId, ifHeadSeq: undefined, change: () => ({ contextFloorSeq: 2 }), event };
      await test.store.changeSession(
        scope,
        request(() => ""),
        reset,
      );
      expect((await fork(sessionId)).session.contextFloorSeq).toBe(2);
      expect((await fork(sessionId, { atSeq: 2 })).session.contextFloorSeq).toBe(0);
    });

    it("can be made of forks, also when the original is gone", async () => {
      const sessionId = await writeLog();
      const log = await readLog(test.store, sessionId);
      const { session: first } = await fork(sessionId);
      outcomeOf(
        await test.store.deleteSession(
          scope,
          request(() => ""),
          { sessionId, wish: wish() },
        ),
      );
      for (const { seq } of log) {
        const { session } = await fork(first.sessionId, { atSeq: seq });
        const copied = await readLog(test.store, session.sessionId);
        expect(copied.slice(0, seq)).toEqual(log.slice(0, seq));
        const ends = endsOf(copied);
        expect([...ends.values()]).toEqual([...ends.keys()].map(() => 1));
      }
    });

    /** What the block says, by the rule of S3. */
    const textOf = (events: readonly StoredEvent[]): string =>
      decodeEvents(events).reduce(
        (text, { body }) =>
          body.case === "textDelta" ? text.slice(0, Number(body.value.offset)) + body.value.text : text,
        "",
      );

    it(`are refused inside a merged delta, with the seqs beside it ${verifies("S3")}`, async () => {
      const { run } = await startRun(test.store);
      let length = 0;
      for (let batchNo = 1; batchNo <= 8; batchNo++) {
        const events = Array.from({ length: 50 }, () =>
          encodeEvent({
            ...{ runId: run.runId, step: 1, attempt: 1 },
            body: {
              case: "textDelta",
              value: { blockId: "1.1.0", offset: BigInt(length), text: String(length++ % 10) },
            },
          }),
        );
        await append(test.store, batchOf(run, batchNo, { events }));
      }
      const before = await fork(run.sessionId, { atSeq: 100 });
      await test.store.compactLogs({ maxWindows: 9 });
      expect(await tryFork(run.sessionId, { atSeq: 100 })).toEqual({ kind: "seq-merged", beforeSeq: 3, afterSeq: 256 });
      const log = await readAll(run.sessionId);
      for (const atSeq of [3, 256, 300]) {
        const { session } = await fork(run.sessionId, { atSeq });
        const copied = await readAll(session.sessionId);
        expect(copied.slice(0, -1)).toEqual(log.filter(({ seq }) => seq <= atSeq));
        // What comes behind is merged as in any log.
        for (let i = 0; i < 150; i++) await accept(test.store, session.sessionId, { maxQueuedRuns: 999 });
        const { windows } = await test.store.compactLogs({ maxWindows: 9 });
        expect(windows).toBeGreaterThan(0);
        const merged = await readAll(session.sessionId);
        expect(merged.map(({ firstSeq }) => firstSeq)).toEqual([1, ...merged.slice(0, -1).map(({ seq }) => seq + 1)]);
        expect(textOf(merged)).toBe(textOf(copied));
      }
      expect((await readAll(before.session.sessionId)).at(-1)?.seq).toBe(101);
    });

    it("of an empty session are empty", async () => {
      const { sessionId } = await makeSession(test.store);
      const { session, appended } = await fork(sessionId);
      expect(session).toMatchObject({ headSeq: 0, oldestSeq: 0, state: "created", forkedFromSessionId: sessionId });
      expect(appended.events).toEqual([]);
      expect(await accept(test.store, session.sessionId)).toMatchObject({ seq: 1 });
    });

    it("that are refused change nothing", async () => {
      const { sessionId } = await makeSession(test.store, { key: "taken" });
      await accept(test.store, sessionId);
      const { logId } = await getSession(sessionId);
      const count = () => test.store.countSessions(scope, { activeSinceMs: 0 });
      const before = await count();
      const missing = { kind: "session-not-found" };
      expect(await tryFork("nowhere")).toEqual(missing);
      expect(await tryFork(sessionId, {}, otherTenant)).toEqual(missing);
      await makeSession(test.store, {}, otherTenant);
      expect(await tryFork(sessionId, {}, otherTenant)).toEqual(missing);
      expect(await tryFork(sessionId, { key: "taken" })).toEqual({ kind: "key-taken", sessionId });
      expect(await tryFork(sessionId, { atSeq: 3 })).toEqual({ kind: "seq-ahead", logId, oldestSeq: 1, headSeq: 2 });
      expect(await tryFork(sessionId, { maxBytes: 10 })).toEqual({ kind: "log-too-large" });
      expect(await count()).toEqual(before);
    });

    it(`are made once for a request ${verifies("R1")}`, async () => {
      const { sessionId } = await makeSession(test.store);
      const once = request<Forked>(({ session }) => session.sessionId);
      const first = await test.store.forkSession(scope, once, forkOf(sessionId, { key: "k" }));
      await test.reopen();
      const again = await test.store.forkSession(scope, once, forkOf(sessionId, { key: "k" }));
      expect(again.kind).toBe("replayed");
      expect("answer" in again && readAnswer(again.answer)).toBe(outcomeOf(first).session.sessionId);
      expect(await test.store.countSessions(scope, { activeSinceMs: 0 })).toMatchObject({ total: 2 });
      const other = await test.store.forkSession(scope, { ...once, digest: "other" }, forkOf(sessionId));
      expect(other).toEqual({ kind: "request-id-reused" });
    });

    it("can be searched by the words that they began with", async () => {
      const { sessionId } = await makeSession(test.store, { title: "first" });
      const { messageId, runId } = newMessage(sessionId);
      const content = [{ block: { case: "text" as const, value: { text: "harbour" } } }];
      const events = () => [
        encodeEvent({ body: { case: "messageReceived", value: { messageId, runId, content } } }),
        runFinished(runId),
      ];
      await accept(test.store, sessionId, { messageId, runId, events });
      await fork(sessionId, { title: "second" });
      await test.store.indexMessages({ maxEvents: 100, maxBytes: 1e6 });
      const { sessions } = await test.store.listSessions(scope, {
        ...{ pageSize: 9, pageToken: "", states: [], agentId: "", labels: {}, parentSessionId: "", query: "harbour" },
        order: "created-asc",
      });
      expect(sessions.map(({ title }) => title)).toEqual(["first", "second"]);
    });
  });
}
