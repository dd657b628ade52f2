/**
 * Appends a worker's batch, all or nothing.
 *
 * Keeps L4: the epoch is compared, and the last batch number with its answer is stored, in the transaction of the
 * events; a late worker is refused, a resent batch answered. Keeps R2: the batch that ends a run ends it once. Keeps F3: behind it no
 * call of the run is without an outcome.
 */
import { judgeBatch } from "../../../rules/judge-batch.ts";
import { withCallEndings } from "../../../rules/open-calls.ts";
import type { AppendOutcome, WorkerBatch } from "../../changes.ts";
import type { RunRow } from "../../rows.ts";
import type { StoredSession } from "../life/session-columns.ts";
import { endRun, joined } from "../runs/end-run.ts";
import { openCallsOf } from "../runs/read-open-calls.ts";
import type { StoredRun } from "../runs/run-columns.ts";
import type { SessionTables } from "../session-tables.ts";

/** See SessionStore.appendBatch. */
export function appendBatch(tables: SessionTables, batch: WorkerBatch, nowMs: number): AppendOutcome {
  const tenantNo = tables.tenants.find(batch.tenant);
  const run = tenantNo === undefined ? undefined : tables.runs.findById(tenantNo, batch.runId);
  if (run === undefined || run.row.sessionId !== batch.sessionId) {
    return { kind: "run-not-found" };
  }
  const verdict = judgeBatch(run.row, batch);
  switch (verdict.kind) {
    case "append":
      return append(tables, run, batch, nowMs);
    case "replayed":
      return { kind: "replayed", firstSeq: run.batchFirstSeq, lastSeq: run.batchLastSeq };
    case "fenced":
    case "finished":
    case "out-of-order":
      return verdict;
  }
}

function append(tables: SessionTables, run: StoredRun, batch: WorkerBatch, nowMs: number): AppendOutcome {
  const session = tables.sessions.get(run.sessionNo);
  const [grown, appended] = tables.events.append(session, eventsOf(tables, session, run, batch), nowMs);
  const firstSeq = session.row.headSeq + 1;
  const lastSeq = appended.headSeq;
  const row: RunRow = { ...run.row, batchNo: batch.batchNo };
  const actedCommandId = actOn(tables, run, batch);
  const next: StoredRun = { ...run, batchFirstSeq: firstSeq, batchLastSeq: lastSeq, actedCommandId, row };
  if (batch.finish !== undefined) {
    const ended = endRun(tables, next, grown, batch.finish, nowMs);
    const freesNext = ended.session.row.queuedRuns > 0;
    return {
      kind: "appended",
      firstSeq,
      lastSeq,
      appended: joined(appended, ended.followUp),
      run: ended.run,
      freesNext,
    };
  }
  tables.sessions.save(grown);
  tables.runs.saveBatch(next);
  return { kind: "appended", firstSeq, lastSeq, appended, run: row, freesNext: false };
}

/**
 * What is appended: in front of the end of a run, an outcome for each call that its worker left without one. A worker that
 * took the run over may not know of calls of an earlier one, and one that is not ours may leave its own open.
 */
function eventsOf(
  tables: SessionTables,
  session: StoredSession,
  run: StoredRun,
  { events, callEvents, finish }: WorkerBatch,
): readonly Uint8Array[] {
  if (finish === undefined) {
    tables.calls.apply(run.row.runId, callEvents);
    return events;
  }
  const calls = openCallsOf(tables, session, run);
  for (const event of callEvents) calls.apply(event);
  return withCallEndings(run.row, calls, events);
}

/**
 * Closes the commands that the worker acted on; a worker can't act on one that it was never given. What a step reads is
 * read, also when the worker knows it from the log alone: one that took the run over may hear of the steer later, or never.
 */
function actOn(
  { commands }: SessionTables,
  run: StoredRun,
  { actedCommandId, readMessageIds }: Pick<WorkerBatch, "actedCommandId" | "readMessageIds">,
): number {
  commands.removeSteers(run, readMessageIds);
  const acted = Math.min(actedCommandId, run.lastCommandId);
  if (acted <= run.actedCommandId) return run.actedCommandId;
  commands.removeThrough(run, acted);
  return acted;
}
