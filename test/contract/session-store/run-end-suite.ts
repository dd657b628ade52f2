// The contract of SessionStore: how runs end, by their worker and without one.
import { describe, expect, it } from "vitest";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import type { CancelOutcome } from "../../../services/session/store/changes.ts";
import type { RunRow } from "../../../services/session/store/rows.ts";
import { verifies } from "../../requirements.ts";
import {
  accept,
  append,
  batchOf,
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
} from "./store-fixture.ts";

export function sessionRunEndSuite(driver: SessionStoreDriver): void {
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
