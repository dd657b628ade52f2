// The contract of SessionStore.appendBatch: what a worker writes, once, as long as it has the run.
import { describe, expect, it } from "vitest";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { verifies } from "../../requirements.ts";
import {
  accept,
  append,
  batchOf,
  claimOne,
  delta,
  followUp,
  lastBatchOf,
  makeSession,
  readLog,
  type SessionStoreDriver,
  StoreUnderTest,
  scope,
  startRun,
} from "./store-fixture.ts";

export function sessionAppendSuite(driver: SessionStoreDriver): void {
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
