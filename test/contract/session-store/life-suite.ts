// The contract of SessionStore, continued: a session's own facts, its idleness, and counts.

import { describe, expect, it } from "vitest";
import { SessionState } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import type { NewMessage } from "../../../services/session/store/changes.ts";
import type { SessionStore } from "../../../services/session/store/session-store.ts";
import { verifies } from "../../requirements.ts";
import { answered, change, close, remove, stateOf } from "./life-fixture.ts";
import {
  accept,
  decodeEvents,
  makeSession,
  otherTenant,
  outcomeOf,
  readAnswer,
  readLog,
  type SessionStoreDriver,
  StoreUnderTest,
  scope,
  sessionUpdated,
  startRun,
} from "./store-fixture.ts";

const minuteMs = 60_000;

function sweep(store: SessionStore, limit = 100) {
  const event = () => sessionUpdated({ fields: ["state"], state: SessionState.IDLE });
  return store.sweepIdle({ defaultTimeoutMs: 30 * minuteMs, limit, event });
}

export function sessionLifeSuite(driver: SessionStoreDriver): void {
  changeSuite(driver);
  idleSuite(driver);
  countSuite(driver);
}

function changeSuite(driver: SessionStoreDriver): void {
  describe("changes of a session's facts", () => {
    const test = new StoreUnderTest(driver);

    it("are one change with the event that tells of them", async () => {
      const made = await makeSession(test.store, { title: "old", labels: { team: "blue" } });
      test.nowMs += 5;
      const facts = {
        title: "new",
        labels: { team: "red", floor: "2" },
        profile: Uint8Array.of(1, 2),
        idleTimeoutMs: 7_000,
        contextFloorSeq: 0,
      };
      const changed = outcomeOf(
        await change(test.store, made.sessionId, {
          change: (seen) => {
            expect(seen).toEqual(made);
            return facts;
          },
        }),
      );
      expect(decodeEvents(changed.appended.events)).toMatchObject([
        { seq: 1n, body: { case: "sessionUpdated", value: { title: "new" } } },
      ]);
      await test.reopen();
      const stored = await test.store.getSession(scope, { sessionId: made.sessionId });
      expect(stored).toEqual(changed.session);
      expect(stored).toEqual({
        ...made,
        ...facts,
        headSeq: 1,
        oldestSeq: 1,
        updatedAtMs: test.nowMs,
        logBytes: stored?.logBytes,
        indexSeq: stored?.indexSeq,
      });
      expect(await readLog(test.store, made.sessionId)).toEqual(changed.appended.events);
    });

    it("leave what they do not name", async () => {
      const made = await makeSession(test.store, { title: "kept", profile: Uint8Array.of(9) });
      const { session } = outcomeOf(
        await change(test.store, made.sessionId, { change: () => ({ idleTimeoutMs: 5_000 }) }),
      );
      expect(session).toMatchObject({ title: "kept", profile: Uint8Array.of(9), idleTimeoutMs: 5_000 });
    });

    it(`happen once for the same request, and are refused with another body ${verifies("R1")}`, async () => {
      const { sessionId } = await makeSession(test.store);
      const once = { requestId: "r1" };
      const [first, again] = await Promise.all([
        change(test.store, sessionId, {}, once),
        change(test.store, sessionId, {}, once),
      ]);
      expect([first.kind, again.kind]).toEqual(["done", "replayed"]);
      await test.reopen();
      const later = await change(test.store, sessionId, {}, once);
      expect(later.kind === "replayed" && readAnswer(later.answer)).toBe("new");
      expect(await change(test.store, sessionId, {}, { ...once, digest: "other" })).toEqual({
        kind: "request-id-reused",
      });
      expect(await readLog(test.store, sessionId)).toHaveLength(1);
    });

    it("are refused where they can't be made, and change nothing", async () => {
      const { sessionId } = await makeSession(test.store);
      expect(await change(test.store, "nowhere")).toEqual({ kind: "session-not-found" });
      for (const tenant of ["other", "unknown"]) {
        const by = { ...otherTenant, tenant };
        expect(await change(test.store, sessionId, {}, {}, by)).toEqual({ kind: "session-not-found" });
      }
      const asked = { requestId: "r1" };
      const moved = { kind: "head-moved", headSeq: 0 };
      expect(await change(test.store, sessionId, { ifHeadSeq: 1 }, asked)).toEqual(moved);
      expect(await readLog(test.store, sessionId)).toEqual([]);
      // A refusal is not remembered.
      expect((await change(test.store, sessionId, {}, asked)).kind).toBe("done");
      await close(test.store, sessionId);
      expect(await change(test.store, sessionId)).toEqual({ kind: "session-closed" });
    });

    it("that were decided on the same head are made once", async () => {
      const { sessionId } = await makeSession(test.store);
      await change(test.store, sessionId);
      const both = await Promise.all([1, 2].map(() => change(test.store, sessionId, { ifHeadSeq: 1 })));
      expect(both.map(({ kind }) => kind)).toEqual(["done", "head-moved"]);
    });

    it("cost their neighbours nothing when a callback throws", async () => {
      const { sessionId } = await makeSession(test.store);
      const broken = change(test.store, sessionId, {
        change: () => {
          throw new Error("a mistake of the caller");
        },
      });
      const [refused, made] = await Promise.allSettled([broken, change(test.store, sessionId)]);
      expect([refused.status, made.status]).toEqual(["rejected", "fulfilled"]);
      expect(await readLog(test.store, sessionId)).toHaveLength(1);
    });
  });

  describe("a message that begins anew", () => {
    const test = new StoreUnderTest(driver);

    it("sets the floor to the head before it, and tells of it", async () => {
      const sessionId = await answered(test.store);
      const before = await test.store.getSession(scope, { sessionId });
      const asked: unknown[] = [];
      const { session } = await accept(test.store, sessionId, {
        isResetDue: (seen, nowMs) => {
          asked.push([seen.lastMessageAtMs, nowMs]);
          return true;
        },
        events: ({ resetFloorSeq, isTitled, wakes }) => {
          expect([isTitled, wakes]).toEqual([false, false]);
          return [sessionUpdated({ fields: ["context_floor_seq"], contextFloorSeq: BigInt(resetFloorSeq) })];
        },
      });
      expect(asked).toEqual([[before?.lastMessageAtMs, test.nowMs]]);
      expect(session.contextFloorSeq).toBe(before?.headSeq);
      expect(decodeEvents(await readLog(test.store, sessionId)).at(-1)?.body).toMatchObject({
        value: { contextFloorSeq: BigInt(before?.headSeq ?? 0) },
      });
      // The next one goes on.
      const next = await accept(test.store, sessionId);
      expect(next.session.contextFloorSeq).toBe(before?.headSeq);
    });
  });
}

function idleSuite(driver: SessionStoreDriver): void {
  describe("idle sessions", () => {
    const test = new StoreUnderTest(driver);

    it("are those that have no run and were silent for the timeout, and nothing else changes", async () => {
      const sessionId = await answered(test.store);
      const before = await test.store.getSession(scope, { sessionId });
      test.nowMs += 30 * minuteMs - 1;
      expect(await sweep(test.store)).toEqual([]);
      test.nowMs += 1;
      const [swept, ...others] = await sweep(test.store);
      expect(others).toEqual([]);
      expect(swept).toMatchObject({ sessionId, tenant: "local", headSeq: (before?.headSeq ?? 0) + 1 });
      expect(await sweep(test.store)).toEqual([]);
      await test.reopen();
      const after = await test.store.getSession(scope, { sessionId });
      const { headSeq, logBytes, indexSeq } = after ?? {};
      expect(after).toEqual({ ...before, state: "idle", headSeq, logBytes, indexSeq });
      expect(decodeEvents(await readLog(test.store, sessionId)).at(-1)?.body).toMatchObject({
        value: { state: SessionState.IDLE },
      });
    });

    it("never have a run that waits or runs, are not new and not closed", async () => {
      const fresh = await makeSession(test.store);
      const { run } = await startRun(test.store);
      const gone = await answered(test.store);
      await close(test.store, gone);
      const waiting = await makeSession(test.store);
      await accept(test.store, waiting.sessionId);
      test.nowMs += 365 * 24 * 60 * minuteMs;
      expect(await sweep(test.store)).toEqual([]);
      for (const [sessionId, state] of [
        [fresh.sessionId, "created"],
        [run.sessionId, "active"],
        [waiting.sessionId, "active"],
        [gone, "closed"],
      ] as const)
        expect(await stateOf(test.store, sessionId)).toBe(state);
    });

    it("have the timeout of their own when they have one, shorter or longer", async () => {
      const [short, long, usual] = [await answered(test.store), await answered(test.store), await answered(test.store)];
      const timeout = (sessionId: string, idleTimeoutMs: number) =>
        change(test.store, sessionId, { change: () => ({ idleTimeoutMs }) });
      await timeout(short, minuteMs);
      await timeout(long, 90 * minuteMs);
      const swept = async () => (await sweep(test.store)).map(({ sessionId }) => sessionId);
      test.nowMs += minuteMs;
      expect(await swept()).toEqual([short]);
      test.nowMs += 29 * minuteMs;
      expect(await swept()).toEqual([usual]);
      test.nowMs += 60 * minuteMs;
      expect(await swept()).toEqual([long]);
    });

    it(`are made a bounded number at a time, once each, the longest silent first ${verifies("L7")}`, async () => {
      const ids: string[] = [];
      for (let i = 0; i < 5; i++) {
        ids.push(await answered(test.store));
        test.nowMs += 1;
      }
      test.nowMs += 30 * minuteMs;
      const rounds = await Promise.all([sweep(test.store, 2), sweep(test.store, 2), sweep(test.store, 2)]);
      const swept = rounds.map((round) => round.map(({ sessionId }) => sessionId));
      expect(swept).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
    });

    it("are active again with the next message, which tells of it", async () => {
      const sessionId = await answered(test.store);
      test.nowMs += 31 * minuteMs;
      await sweep(test.store);
      const woken: boolean[] = [];
      const events: NewMessage["events"] = ({ wakes }) => {
        woken.push(wakes);
        return [sessionUpdated({ fields: [] })];
      };
      await accept(test.store, sessionId, { events });
      expect(await stateOf(test.store, sessionId)).toBe("active");
      await accept(test.store, sessionId, { events });
      expect(woken).toEqual([true, false]);
    });

    it("stay idle when their facts change, and can be closed", async () => {
      const sessionId = await answered(test.store);
      test.nowMs += 31 * minuteMs;
      await sweep(test.store);
      await change(test.store, sessionId);
      expect(await stateOf(test.store, sessionId)).toBe("idle");
      expect((await close(test.store, sessionId)).kind).toBe("done");
    });
  });
}

function countSuite(driver: SessionStoreDriver): void {
  describe("counts of sessions", () => {
    const test = new StoreUnderTest(driver);

    it("are a tenant's own, in all and since a time", async () => {
      const since = { activeSinceMs: test.nowMs + 1 };
      expect(await test.store.countSessions({ tenant: "unknown" }, since)).toEqual({ total: 0, active: 0 });
      const { sessionId } = await makeSession(test.store);
      await makeSession(test.store);
      await makeSession(test.store, {}, otherTenant);
      expect(await test.store.countSessions(scope, since)).toEqual({ total: 2, active: 0 });
      test.nowMs += 1;
      await accept(test.store, sessionId);
      expect(await test.store.countSessions(scope, since)).toEqual({ total: 2, active: 1 });
      expect(await test.store.countSessions(otherTenant, since)).toEqual({ total: 1, active: 0 });
      await remove(test.store, sessionId);
      expect(await test.store.countSessions(scope, since)).toEqual({ total: 1, active: 0 });
    });
  });
}
