// The contract of SessionStore, continued: runs are claimed, appended to, taken over, cancelled and finished.
import { describe, expect, it } from "vitest";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import type { CancelOutcome } from "../../services/session/store/changes.ts";
import type { RunRow } from "../../services/session/store/rows.ts";
import { verifies } from "../requirements.ts";
import {
  accept,
  append,
  batchOf,
  claimOne,
  decodeEvents,
  delta,
  followUp,
  lastBatchOf,
  makeSession,
  otherTenant,
  readAnswer,
  readLog,
  request,
  runFinished,
  runStarted,
  type SessionStoreDriver,
  StoreUnderTest,
  scope,
  startRun,
  wish,
} from "./session-store-fixture.ts";

export function sessionRunsSuite(driver: SessionStoreDriver): void {
  claimSuite(driver);
  appendSuite(driver);
  endSuite(driver);
}

function claimSuite(driver: SessionStoreDriver): void {
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
      expect(await claim(1, ["two", "one"], { tenant: "other tenant" })).toEqual([]);
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

function appendSuite(driver: SessionStoreDriver): void {
  describe("batches of a worker", () => {
    const test = new StoreUnderTest(driver);

    it("commits a batch after the head and says where", async () => {
      const { run } = await startRun(test.store);
      const events = [delta(run.runId, "a"), delta(run.runId, "b")];
      const outcome = await append(test.store, batchOf(run, 1, { events }));
      expect(outcome).toMatchObject({ firstSeq: 4, lastSeq: 5, run: { batchNo: 1, state: "running" } });
      expect(outcome.appended.events.map(({ seq }) => seq)).toEqual([4, 5]);
      expect((await readLog(test.store, run.sessionId)).slice(3)).toEqual(outcome.appended.events);
      expect(await test.store.getRun(scope, run.runId)).toEqual(outcome.run);
    });

    it(`answers a resent batch and does not repeat it, also after a restart ${verifies("L4")}`, async () => {
      const { run } = await startRun(test.store);
      const first = batchOf(run, 1, { events: [delta(run.runId, "a"), delta(run.runId, "b")] });
      const replayed = { kind: "replayed", firstSeq: 4, lastSeq: 5 };
      const [, together] = await Promise.all([append(test.store, first), test.store.appendBatch(first)]);
      expect(together).toEqual(replayed);
      await test.reopen();
      expect(await test.store.appendBatch(first)).toEqual(replayed);
      expect((await readLog(test.store, run.sessionId)).length).toBe(5);
    });

    it(`refuses a batch out of order and names the one that it expects ${verifies("L4")}`, async () => {
      const { run } = await startRun(test.store);
      expect(await test.store.appendBatch(batchOf(run, 2))).toEqual({ kind: "out-of-order", expectedBatchNo: 1 });
      expect(await test.store.appendBatch(batchOf(run, 0))).toEqual({ kind: "out-of-order", expectedBatchNo: 1 });
      await append(test.store, batchOf(run, 1));
      await append(test.store, batchOf(run, 2));
      expect(await test.store.appendBatch(batchOf(run, 1))).toEqual({ kind: "out-of-order", expectedBatchNo: 3 });
      expect((await readLog(test.store, run.sessionId)).length).toBe(5);
    });

    it("refuses a batch of a run that is not there, is another tenant's, or is another session's", async () => {
      const { run } = await startRun(test.store);
      const refused = { kind: "run-not-found" };
      expect(await test.store.appendBatch(batchOf({ ...run, runId: "nowhere" }, 1))).toEqual(refused);
      expect(await test.store.appendBatch(batchOf({ ...run, tenant: "other" }, 1))).toEqual(refused);
      expect(await test.store.appendBatch(batchOf({ ...run, sessionId: "another" }, 1))).toEqual(refused);
    });

    it(`refuses a batch of a run that nobody took, and of an epoch that never was ${verifies("L4")}`, async () => {
      const { sessionId } = await makeSession(test.store);
      const { run } = await accept(test.store, sessionId);
      expect(await test.store.appendBatch(batchOf(run, 1))).toEqual({ kind: "fenced", epoch: 0 });
      const claimed = await claimOne(test.store);
      expect(await test.store.appendBatch(batchOf({ ...claimed.run, epoch: 9 }, 1))).toEqual({
        kind: "fenced",
        epoch: 1,
      });
    });

    it(`does not let a refused batch cost its neighbours anything ${verifies("L4")}`, async () => {
      const first = await startRun(test.store);
      const second = await startRun(test.store);
      const outcomes = await Promise.all([
        test.store.appendBatch(batchOf(first.run, 1)),
        test.store.appendBatch(batchOf({ ...first.run, epoch: 7 }, 2)),
        test.store.appendBatch(batchOf(second.run, 5)),
        test.store.appendBatch(batchOf(second.run, 1)),
        test.store.appendBatch(batchOf(first.run, 2)),
      ]);
      expect(outcomes.map(({ kind }) => kind)).toEqual(["appended", "fenced", "out-of-order", "appended", "appended"]);
      expect((await readLog(test.store, first.session.sessionId)).length).toBe(5);
      expect((await readLog(test.store, second.session.sessionId)).length).toBe(4);
    });

    it(`ends a run once with its last batch ${verifies("R2")}`, async () => {
      const { run, session } = await startRun(test.store);
      test.nowMs += 9;
      const failure = Uint8Array.of(1, 2, 3);
      const last = { ...lastBatchOf(run, 1), finish: { status: RunStatus.FAILED, failure, followUp: followUp() } };
      const outcome = await append(test.store, last);
      expect(outcome.run).toMatchObject({
        state: "finished",
        status: RunStatus.FAILED,
        finishedSeq: 4,
        finishedAtMs: test.nowMs,
      });
      await test.reopen();
      const stored = await test.store.getRun(scope, run.runId);
      expect(stored).toEqual({ ...outcome.run, failure });
      expect(await test.store.getSession(scope, { sessionId: session.sessionId })).toMatchObject({
        activeRunId: "",
        headSeq: 4,
      });
      expect(await test.store.listRunningRuns()).toEqual([]);
      expect(await test.store.appendBatch(last)).toEqual({ kind: "replayed", firstSeq: 4, lastSeq: 4 });
      expect(await test.store.appendBatch(lastBatchOf(run, 2))).toEqual({ kind: "finished" });
      expect((await readLog(test.store, run.sessionId)).length).toBe(4);
    });
  });
}

function endSuite(driver: SessionStoreDriver): void {
  describe("ends of runs", () => {
    const test = new StoreUnderTest(driver);
    const failed = (run: RunRow) => ({
      status: RunStatus.FAILED,
      failure: Uint8Array.of(9),
      followUp: followUp(),
      event: () => runFinished(run.runId, RunStatus.FAILED),
    });
    const cancel = (runId: string, ask = request<CancelOutcome>(({ kind }) => kind), by = "user:local") =>
      test.store.cancelRun(scope, ask, { runId, ...wish(by) });

    it(`finishes a run with the next epoch, so that its worker is refused ${verifies("L4", "R2")}`, async () => {
      const { run, session } = await startRun(test.store);
      const finished = await test.store.finishRun(run, failed(run));
      expect(finished?.run).toMatchObject({ state: "finished", status: RunStatus.FAILED, epoch: 2, finishedSeq: 4 });
      expect(finished?.appended.headSeq).toBe(4);
      expect(await test.store.getRun(scope, run.runId)).toEqual({ ...finished?.run, failure: Uint8Array.of(9) });
      expect(await test.store.appendBatch(batchOf(run, 1))).toEqual({ kind: "fenced", epoch: 2 });
      expect(await test.store.appendBatch(batchOf({ ...run, epoch: 2 }, 1))).toEqual({ kind: "finished" });
      expect((await test.store.getSession(scope, session))?.activeRunId).toBe("");
    });

    it(`finishes a run once, for the holder of the epoch ${verifies("R2")}`, async () => {
      const { run } = await startRun(test.store);
      const stale = { ...run, epoch: 0 };
      expect(await test.store.finishRun(stale, failed(run))).toBeUndefined();
      expect(await test.store.finishRun({ ...run, tenant: "other" }, failed(run))).toBeUndefined();
      const both = await Promise.all([test.store.finishRun(run, failed(run)), test.store.finishRun(run, failed(run))]);
      expect(both.map((finished) => finished?.run.state)).toEqual(["finished", undefined]);
      expect(await test.store.finishRun({ ...run, epoch: 2 }, failed(run))).toBeUndefined();
      expect((await readLog(test.store, run.sessionId)).length).toBe(4);
    });

    it(`ends a waiting run at once when it is cancelled ${verifies("R2")}`, async () => {
      const { sessionId } = await makeSession(test.store);
      const { run } = await accept(test.store, sessionId);
      const answered = await cancel(run.runId);
      expect(answered).toMatchObject({
        kind: "done",
        outcome: {
          kind: "finished-now",
          run: {
            state: "finished",
            status: RunStatus.CANCELLED,
            cancelledBy: "user:local",
            cancelReason: "enough",
            finishedSeq: 3,
          },
          appended: { headSeq: 3 },
        },
      });
      expect(await test.store.getSession(scope, { sessionId })).toMatchObject({ queuedRuns: 0, activeRunId: "" });
      expect(await test.store.countQueuedRuns()).toBe(0);
      expect(await test.store.claimRuns({ limit: 9, events: runStarted })).toEqual([]);
    });

    it("keeps the active run when one that waits behind it is cancelled", async () => {
      const { run, session } = await startRun(test.store);
      const waiting = await accept(test.store, session.sessionId);
      await cancel(waiting.run.runId);
      expect(await test.store.getSession(scope, session)).toMatchObject({ queuedRuns: 0, activeRunId: run.runId });
    });

    it("stores the wish to stop a running run, and the first one stands", async () => {
      const { run } = await startRun(test.store);
      const answered = await cancel(run.runId);
      expect(answered).toMatchObject({ kind: "done", outcome: { kind: "requested", run: { state: "running" } } });
      await cancel(run.runId, undefined, "user:later");
      await test.reopen();
      expect(await test.store.getRun(scope, run.runId)).toMatchObject({
        cancelledBy: "user:local",
        cancelReason: "enough",
      });
      expect((await append(test.store, batchOf(run, 1))).run.cancelledBy).toBe("user:local");
    });

    it("says that a run has ended already", async () => {
      const { run } = await startRun(test.store);
      await append(test.store, lastBatchOf(run, 1));
      const answered = await cancel(run.runId);
      expect(answered).toMatchObject({ kind: "done", outcome: { kind: "already-finished", run: { cancelledBy: "" } } });
    });

    it("refuses to cancel a run that is not there or is another tenant's", async () => {
      expect(await cancel("nowhere")).toEqual({ kind: "run-not-found" });
      const { sessionId } = await makeSession(test.store, {}, otherTenant);
      const { run } = await accept(test.store, sessionId, {}, otherTenant);
      expect(await cancel(run.runId)).toEqual({ kind: "run-not-found" });
    });

    it(`answers a repeated cancel with the first answer ${verifies("R1")}`, async () => {
      const { run } = await startRun(test.store);
      const ask = request<CancelOutcome>(({ kind }) => kind);
      await cancel(run.runId, ask);
      await append(test.store, lastBatchOf(run, 1));
      await test.reopen();
      const again = await cancel(run.runId, ask);
      expect(again.kind === "replayed" && readAnswer(again.answer)).toBe("requested");
      expect(await cancel(run.runId, { ...ask, digest: "another" })).toEqual({ kind: "request-id-reused" });
    });
  });
}
