/**
 * Appends a worker's batch, all or nothing.
 *
 * Keeps L4: the epoch is compared, and the last batch number with its answer is stored, in the transaction of the
 * events; a late worker is refused, a resent batch answered. Keeps R2: the batch that ends a run ends it once.
 */
import type { AppendOutcome, RunRow, WorkerBatch } from "../session-store.ts";
import { endRun } from "./end-run.ts";
import type { StoredRun } from "./run-rows.ts";
import type { SessionTables } from "./session-tables.ts";

/** See SessionStore.appendBatch. */
export function appendBatch(tables: SessionTables, batch: WorkerBatch, nowMs: number): AppendOutcome {
  const tenantNo = tables.tenants.find(batch.tenant);
  const run = tenantNo === undefined ? undefined : tables.runs.findById(tenantNo, batch.runId);
  if (run === undefined || run.row.sessionId !== batch.sessionId) {
    return { kind: "run-not-found" };
  }
  return answerWithoutChange(run, batch) ?? append(tables, run, batch, nowMs);
}

function answerWithoutChange(run: StoredRun, batch: WorkerBatch): AppendOutcome | undefined {
  const { row } = run;
  // A run that nobody took has epoch 0, which no worker holds.
  if (batch.epoch !== row.epoch || row.epoch === 0) {
    return { kind: "fenced", epoch: row.epoch };
  }
  // Before the state: the batch that ended the run may be sent again, too.
  if (batch.batchNo === row.batchNo && batch.batchNo > 0) {
    return { kind: "replayed", firstSeq: run.batchFirstSeq, lastSeq: run.batchLastSeq };
  }
  if (row.state === "finished") {
    return { kind: "finished" };
  }
  const expectedBatchNo = row.batchNo + 1;
  return batch.batchNo === expectedBatchNo ? undefined : { kind: "out-of-order", expectedBatchNo };
}

function append(tables: SessionTables, run: StoredRun, batch: WorkerBatch, nowMs: number): AppendOutcome {
  const session = tables.sessions.get(run.sessionNo);
  const [grown, appended] = tables.events.append(session, batch.events, nowMs);
  const firstSeq = session.row.headSeq + 1;
  const lastSeq = appended.headSeq;
  const row: RunRow = { ...run.row, batchNo: batch.batchNo };
  const next: StoredRun = { ...run, batchFirstSeq: firstSeq, batchLastSeq: lastSeq, row };
  if (batch.finish !== undefined) {
    const ended = endRun(tables, next, grown, batch.finish, nowMs);
    return { kind: "appended", firstSeq, lastSeq, appended, run: ended, freesNext: grown.row.queuedRuns > 0 };
  }
  tables.sessions.save(grown);
  tables.runs.saveBatch(next);
  return { kind: "appended", firstSeq, lastSeq, appended, run: row, freesNext: false };
}
