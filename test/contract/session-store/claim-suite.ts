// The contract of SessionStore.claimRuns and takeOverRun: who takes which run, under which epoch.
import { describe, expect, it } from "vitest";
import { verifies } from "../../requirements.ts";
import {
  accept,
  append,
  batchOf,
  claimOne,
  decodeEvents,
  delta,
  lastBatchOf,
  makeSession,
  otherTenant,
  readLog,
  runStarted,
  type SessionStoreDriver,
  StoreUnderTest,
  scope,
  startRun,
} from "./store-fixture.ts";

export function sessionClaimSuite(driver: SessionStoreDriver): void {
  describe("claims", () => {
    const test = new StoreUnderTest(driver);
    const claim = (limit: number, agentIds?: string[], more: { tenant?: string; exceptAgentIds?: string[] } = {}) =>
      test.store.claimRuns({
        ...{ limit, events: runStarted },
        reach: { tenant: "", agentIds, exceptAgentIds: [], ...more },
      });

    it("takes a waiting run with the first epoch and its event", async () => {
      const { sessionId } = await makeSession(test.store);
      await accept(test.store, sessionId);
      test.nowMs += 7;
      const claimed = await claimOne(test.store);
      expect(claimed.run).toMatchObject({
        state: "running",
        epoch: 1,
        attempt: 1,
        batchNo: 0,
        startedAtMs: test.nowMs,
      });
      expect(claimed.session).toMatchObject({ activeRunId: claimed.run.runId, queuedRuns: 0, headSeq: 3 });
      expect(decodeEvents(claimed.appended.events)[0]?.body).toMatchObject({
        case: "runStarted",
        value: { epoch: 1n },
      });
      await test.reopen();
      expect(await test.store.getRun(scope, claimed.run.runId)).toEqual(claimed.run);
      expect(await test.store.listRunningRuns()).toEqual([claimed.run]);
    });

    it("takes urgent runs first, then in order of arrival, of all tenants", async () => {
      const submitTo = async (priority: number, by = scope) => {
        const { sessionId } = await makeSession(test.store, {}, by);
        return (await accept(test.store, sessionId, { priority }, by)).run.runId;
      };
      const normal = await submitTo(2);
      const low = await submitTo(1);
      const urgent = await submitTo(4, otherTenant);
      const second = await submitTo(2, otherTenant);
      expect((await claim(3)).map(({ run }) => run.runId)).toEqual([urgent, normal, second]);
      expect((await claim(3)).map(({ run }) => run.runId)).toEqual([low]);
      expect(await claim(3)).toEqual([]);
    });

    it("takes one run of a session at a time", async () => {
      const { sessionId } = await makeSession(test.store);
      const first = await accept(test.store, sessionId);
      const second = await accept(test.store, sessionId);
      expect(await test.store.countQueuedRuns()).toBe(2);
      expect((await claim(10)).map(({ run }) => run.runId)).toEqual([first.run.runId]);
      // This one comes while the session is busy.
      const third = await accept(test.store, sessionId, { priority: 3 });
      expect(await test.store.countQueuedRuns()).toBe(2);
      expect(await claim(10)).toEqual([]);
      await append(test.store, lastBatchOf({ ...first.run, epoch: 1 }, 1));
      expect(await test.store.countQueuedRuns()).toBe(2);
      const [next] = await claim(10);
      expect(next?.run.runId).toBe(third.run.runId);
      expect(next?.session.queuedRuns).toBe(1);
      await append(test.store, lastBatchOf({ ...third.run, epoch: 1 }, 1));
      expect((await claim(10)).map(({ run }) => run.runId)).toEqual([second.run.runId]);
    });

    it("takes only runs of the agents that are asked for", async () => {
      const { sessionId } = await makeSession(test.store, { agentId: "one" });
      await accept(test.store, sessionId);
      expect(await claim(1, ["two", "three"])).toEqual([]);
      expect(await claim(0)).toEqual([]);
      expect(await claim(1, undefined, { exceptAgentIds: ["one", "two"] })).toEqual([]);
      expect(await claim(1, ["one"], { exceptAgentIds: ["one"] })).toEqual([]);
      expect(await claim(1, undefined, { tenant: "nobody" })).toEqual([]);
      expect((await claim(1, ["two", "one"], { tenant: scope.tenant, exceptAgentIds: ["two"] })).length).toBe(1);
    });

    it("never gives one run to two claims", async () => {
      for (let index = 0; index < 5; index++) {
        await accept(test.store, (await makeSession(test.store)).sessionId);
      }
      const claimed = (await Promise.all([claim(2), claim(2), claim(2), claim(2)])).flat();
      expect(new Set(claimed.map(({ run }) => run.runId)).size).toBe(5);
      expect(claimed.length).toBe(5);
    });

    it(`gives a taken-over run the next epoch and refuses its old holder ${verifies("L4")}`, async () => {
      const { run } = await startRun(test.store);
      await append(test.store, batchOf(run, 1));
      const taken = await test.store.takeOverRun(run, (next) => [delta(next.runId, `attempt ${next.attempt}`)]);
      expect(taken?.run).toMatchObject({ runId: run.runId, state: "running", epoch: 2, attempt: 2, batchNo: 0 });
      expect(taken?.run.startedAtMs).toBe(run.startedAtMs);
      expect(taken?.session.activeRunId).toBe(run.runId);
      expect(await test.store.appendBatch(batchOf(run, 2))).toEqual({ kind: "fenced", epoch: 2 });
      expect(await test.store.appendBatch(batchOf(run, 1))).toEqual({ kind: "fenced", epoch: 2 });
      expect((await append(test.store, batchOf({ ...run, epoch: 2 }, 1))).firstSeq).toBe(6);
      expect((await readLog(test.store, run.sessionId)).length).toBe(6);
    });

    it(`lets only one of two takers have a run ${verifies("L4")}`, async () => {
      const { run } = await startRun(test.store);
      const taken = await Promise.all([
        test.store.takeOverRun(run, runStarted),
        test.store.takeOverRun(run, runStarted),
      ]);
      expect(taken.map((claimed) => claimed?.run.epoch)).toEqual([2, undefined]);
      expect(await test.store.takeOverRun({ ...run, tenant: "unknown", epoch: 2 }, runStarted)).toBeUndefined();
      expect(await test.store.takeOverRun({ ...run, tenant: "other", epoch: 2 }, runStarted)).toBeUndefined();
    });

    it("does not take over a run that waits or has ended", async () => {
      const { sessionId } = await makeSession(test.store);
      const { run } = await accept(test.store, sessionId);
      expect(await test.store.takeOverRun(run, runStarted)).toBeUndefined();
      const claimed = await claimOne(test.store);
      await append(test.store, lastBatchOf(claimed.run, 1));
      expect(await test.store.takeOverRun(claimed.run, runStarted)).toBeUndefined();
    });
  });
}
