// The contract of SessionStore.forkSession: a session of its own that begins with another one's events.

import { describe, expect, it } from "vitest";
import { SessionState } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import { encodeEvent } from "../../../services/kernel/event/encode-event.ts";
import type { Forked } from "../../../services/session/store/changes.ts";
import { verifies } from "../../requirements.ts";
import { forksIn } from "./fork-fixture.ts";
import {
  accept,
  append,
  batchOf,
  claimOne,
  decodeEvents,
  lastBatchOf,
  makeSession,
  newMessage,
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
} from "./store-fixture.ts";

export function sessionForkSuite(driver: SessionStoreDriver): void {
  describe("forks", () => {
    const test = new StoreUnderTest(driver);
    const { forkOf, fork, getSession, readAll, writeLog, endsOf } = forksIn(test);

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

    it("of an empty session are empty", async () => {
      const { sessionId } = await makeSession(test.store);
      const { session, appended } = await fork(sessionId);
      expect(session).toMatchObject({ headSeq: 0, oldestSeq: 0, state: "created", forkedFromSessionId: sessionId });
      expect(appended.events).toEqual([]);
      expect(await accept(test.store, session.sessionId)).toMatchObject({ seq: 1 });
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
