// The contract of SessionStore.trimLogs: what may go goes from the beginning, and readers are told of it.
import { describe, expect, it } from "vitest";
import { encodeEvent } from "../../../services/kernel/event/encode-event.ts";
import { verifies } from "../../requirements.ts";
import { keepAll, logsIn } from "./retention-fixture.ts";
import {
  accept,
  append,
  batchOf,
  claimOne,
  lastBatchOf,
  makeSession,
  newMessage,
  otherTenant,
  outcomeOf,
  request,
  type SessionStoreDriver,
  StoreUnderTest,
  scope,
} from "./store-fixture.ts";

export function sessionRetentionSuite(driver: SessionStoreDriver): void {
  describe("retention", () => {
    const test = new StoreUnderTest(driver);
    const { trim, getSession, read, finishRun, expectDense } = logsIn(test);

    it(`keeps the newest events, a whole row more at the most ${verifies("S1", "S5")}`, async () => {
      const { sessionId } = await makeSession(test.store);
      for (let i = 0; i < 4; i++) await finishRun(sessionId);
      const before = await read(sessionId);
      expect(await trim({ maxEvents: 40 })).toEqual([]);
      const [done, ...others] = await trim({ maxEvents: 12 });
      expect(others).toEqual([]);
      // 40 events: rows of 2, 1, 3, 3 and 1 for each run; the run before the last one is kept from its second row of deltas.
      expect(done).toMatchObject({ tenant: "local", sessionId, oldestSeq: 27, events: 26 });
      expect(await expectDense(sessionId)).toEqual(before.slice(26));
      await test.reopen();
      expect(await expectDense(sessionId)).toEqual(before.slice(26));
      expect(await trim({ maxEvents: 12 })).toEqual([]);
    });

    it("keeps the newest bytes, and counts them as they are", async () => {
      const { sessionId } = await makeSession(test.store);
      for (let i = 0; i < 4; i++) await finishRun(sessionId);
      const before = await getSession(sessionId);
      const [done] = await trim({ maxBytes: Math.floor(before.logBytes / 2) });
      const after = await getSession(sessionId);
      expect(after.logBytes).toBeLessThanOrEqual(before.logBytes / 2);
      expect(after.logBytes).toBe(before.logBytes - (done?.bytes ?? 0));
      expect(after).toEqual({
        ...before,
        // Whoever lists sessions sees where they begin.
        indexSeq: before.indexSeq + 1,
        ...{ oldestSeq: done?.oldestSeq, logBytes: after.logBytes, trimmedAtMs: test.nowMs },
        ...{ compactedSeq: after.oldestSeq - 1, searchedSeq: after.oldestSeq - 1 },
      });
      // A fork counts its bytes anew.
      const fork = outcomeOf(
        await test.store.forkSession(
          scope,
          request(() => ""),
          {
            ...{ sessionId, atSeq: 0, forkId: "fork", logId: "log", key: "", agentId: "", title: "", maxBytes: 1e9 },
            ...{ ending: () => new Uint8Array(), update: () => new Uint8Array() },
          },
        ),
      );
      expect(fork.session).toMatchObject({ logBytes: after.logBytes, oldestSeq: after.oldestSeq });
      expect(await read("fork")).toEqual(await read(sessionId));
    });

    it("keeps what is young, also when that is nothing", async () => {
      const { sessionId } = await makeSession(test.store);
      await finishRun(sessionId);
      test.nowMs += 5_000;
      await finishRun(sessionId);
      const before = await read(sessionId);
      expect(await trim({ keepFromMs: test.nowMs - 5_000 })).toEqual([]);
      expect(await trim({ keepFromMs: test.nowMs })).toMatchObject([{ oldestSeq: 11, events: 10 }]);
      expect(await expectDense(sessionId)).toEqual(before.slice(10));
      expect(await trim({ keepFromMs: test.nowMs + 1 })).toMatchObject([{ oldestSeq: 21, events: 10 }]);
      expect(await expectDense(sessionId)).toEqual([]);
      expect(await getSession(sessionId)).toMatchObject({ headSeq: 20, oldestSeq: 21, logBytes: 0 });
      expect(await read(sessionId, { afterSeq: 20 })).toEqual([]);
      expect(await trim({ keepFromMs: test.nowMs + 1 })).toEqual([]);
      // The log goes on with the next number.
      expect(await accept(test.store, sessionId)).toMatchObject({ seq: 21 });
      expect(await expectDense(sessionId)).toHaveLength(2);
    });

    it(`keeps what a run needs that has not ended ${verifies("R2", "R4")}`, async () => {
      const { sessionId } = await makeSession(test.store);
      await finishRun(sessionId);
      await accept(test.store, sessionId);
      const { run } = await claimOne(test.store);
      for (let batchNo = 1; batchNo <= 5; batchNo++) await append(test.store, batchOf(run, batchNo));
      const oldest = () => getSession(sessionId).then(({ oldestSeq }) => oldestSeq);
      await trim({ maxEvents: 1 });
      expect(await oldest()).toBe(11);
      // A message that waits, and one that the ended run never read, are kept for the runs that answer them.
      const steer = await accept(test.store, sessionId, { entry: { kind: "steer", command: new Uint8Array() } });
      await append(test.store, batchOf(run, 6));
      await append(test.store, lastBatchOf(run, 7));
      await trim({ maxEvents: 1 });
      expect(await oldest()).toBe(steer.seq);
      const next = await claimOne(test.store);
      await append(test.store, lastBatchOf(next.run, 1));
      await trim({ maxEvents: 1 });
      expect(await oldest()).toBe((await getSession(sessionId)).headSeq);
    });

    it("looks at no more rows and sessions at once than it is told, and gets everywhere", async () => {
      const ids: string[] = [];
      for (let i = 0; i < 3; i++) {
        const { sessionId } = await makeSession(test.store);
        ids.push(sessionId);
        await finishRun(sessionId, 10);
      }
      const first = await test.store.trimLogs({
        bounds: { ...keepAll, maxEvents: 1 },
        ...{ cursor: "", maxSessions: 100, maxRows: 3 },
      });
      expect(first.trimmed).toMatchObject([{ sessionId: ids[0], events: 6 }]);
      expect(first.cursor).not.toBe("");
      const rest = await trim({ maxEvents: 1 }, 3, 2);
      expect(rest.length).toBeGreaterThan(9);
      for (const id of ids) expect(await getSession(id)).toMatchObject({ headSeq: 34, oldestSeq: 34 });
    });

    it("trims the logs of every tenant, and each for its own readers", async () => {
      const { sessionId } = await makeSession(test.store, {}, otherTenant);
      await accept(test.store, sessionId, {}, otherTenant);
      const { run } = await claimOne(test.store);
      await append(test.store, lastBatchOf(run, 1));
      expect(await trim({ maxEvents: 1 })).toMatchObject([{ tenant: "other", sessionId, oldestSeq: 4 }]);
    });

    it("answers a cursor before the oldest event with what is gone, within every bound", async () => {
      const { sessionId } = await makeSession(test.store);
      for (let i = 0; i < 2; i++) await finishRun(sessionId);
      await trim({ maxEvents: 10 });
      const { oldestSeq } = await getSession(sessionId);
      const kept = await expectDense(sessionId);
      for (let afterSeq = 0; afterSeq < oldestSeq - 1; afterSeq++) {
        const events = await read(sessionId, { afterSeq });
        expect(events[0]).toMatchObject({ firstSeq: 1, seq: oldestSeq - 1 });
        expect(events.slice(1)).toEqual(kept);
      }
      expect(await read(sessionId, { afterSeq: oldestSeq - 1 })).toEqual(kept);
      expect(await read(sessionId, { maxEvents: 1 })).toHaveLength(1);
      expect(await read(sessionId, { maxEvents: 3 })).toHaveLength(3);
      expect(await read(sessionId, { maxBytes: 1 })).toHaveLength(2);
      expect(await read(sessionId, { throughSeq: oldestSeq })).toHaveLength(2);
    });

    it("forgets the words of what is gone", async () => {
      const { sessionId } = await makeSession(test.store, { title: "talk" });
      const find = async (query: string) => {
        await test.store.indexMessages({ maxEvents: 1_000, maxBytes: 1e6 });
        const { sessions } = await test.store.listSessions(scope, {
          ...{ pageSize: 9, pageToken: "", states: [], agentId: "", labels: {}, parentSessionId: "", query },
          order: "created-asc",
        });
        return sessions.map(({ title }) => title);
      };
      const say = async (text: string): Promise<void> => {
        const { messageId, runId } = newMessage(sessionId);
        const content = [{ block: { case: "text" as const, value: { text } } }];
        const events = () => [
          encodeEvent({ body: { case: "messageReceived", value: { messageId, runId, content } } }),
          encodeEvent({ runId, body: { case: "runQueued", value: {} } }),
        ];
        await accept(test.store, sessionId, { messageId, runId, events });
        const { run } = await claimOne(test.store);
        await append(test.store, lastBatchOf(run, 1));
      };
      await say("harbour");
      await say("island");
      expect(await find("harbour")).toEqual(["talk"]);
      await trim({ maxEvents: 4 });
      expect(await find("harbour")).toEqual([]);
      expect(await find("island")).toEqual(["talk"]);
      // Also what was never searched through.
      await say("lagoon");
      await say("reef");
      await trim({ maxEvents: 4 });
      expect(await find("lagoon")).toEqual([]);
      expect(await find("reef")).toEqual(["talk"]);
    });
  });
}
