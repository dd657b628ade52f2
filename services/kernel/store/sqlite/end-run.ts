/**
 * Ends runs: by their worker's last batch, by the session service, by a cancel of a run that waits.
 *
 * Keeps R2 (a run that has ended never ends again, and its terminal event is stored with its end), R3 (its session's
 * next run may be claimed from then on) and L4 (whoever ends a run over its worker's head takes the next epoch).
 */
import { RunStatus } from "../../../../gen/atoll/event/v1/run_events_pb.ts";
import type { Scope } from "../scope.ts";
import type { Answered, Appended, CancelOutcome, Request, RunRow, SessionRow } from "../session-store.ts";
import type { StoredRun } from "./run-rows.ts";
import type { StoredSession } from "./session-rows.ts";
import type { SessionTables } from "./session-tables.ts";

/** How a run ended; `failure` is an encoded atoll.event.v1.RunFailure, empty when there is none. */
interface Ending {
  readonly status: number;
  readonly failure: Uint8Array;
}

interface Cancel {
  readonly runId: string;
  readonly cancelledBy: string;
  readonly reason: string;
  readonly event: (run: RunRow) => Uint8Array;
}

/** Saves a run as finished and its session without it. The session's head is its terminal event. */
export function endRun(
  tables: SessionTables,
  run: StoredRun,
  session: StoredSession,
  ending: Ending,
  nowMs: number,
): RunRow {
  const wasQueued = run.row.state === "queued";
  const row: RunRow = {
    ...run.row,
    state: "finished",
    status: ending.status,
    failure: ending.failure,
    finishedAtMs: nowMs,
    finishedSeq: session.row.headSeq,
  };
  const sessionRow: SessionRow = wasQueued
    ? { ...session.row, queuedRuns: session.row.queuedRuns - 1 }
    : { ...session.row, activeRunId: "" };
  tables.runs.save({ ...run, row });
  tables.sessions.save({ ...session, row: sessionRow });
  if (!wasQueued && sessionRow.queuedRuns > 0) {
    tables.runs.setBlocked(run.tenantNo, run.sessionNo, false);
  }
  return row;
}

/** See SessionStore.finishRun. */
export function finishRun(
  tables: SessionTables,
  run: { readonly tenant: string; readonly runId: string; readonly epoch: number },
  finish: Ending & { readonly event: (run: RunRow) => Uint8Array },
  nowMs: number,
): { readonly run: RunRow; readonly appended: Appended } | undefined {
  const tenantNo = tables.tenants.find(run.tenant);
  const held = tenantNo === undefined ? undefined : tables.runs.findById(tenantNo, run.runId);
  if (held === undefined || held.row.state === "finished" || held.row.epoch !== run.epoch) {
    return undefined;
  }
  const row: RunRow = { ...held.row, epoch: held.row.epoch + 1, batchNo: 0 };
  return appendEnd(tables, { ...held, batchFirstSeq: 0, batchLastSeq: 0, row }, finish, finish.event, nowMs);
}

/** See SessionStore.cancelRun. */
export function cancelRun(
  tables: SessionTables,
  scope: Scope,
  request: Request<CancelOutcome>,
  cancel: Cancel,
  nowMs: number,
): Answered<CancelOutcome> | { readonly kind: "run-not-found" } {
  const tenantNo = tables.tenants.find(scope.tenant);
  if (tenantNo === undefined) {
    return { kind: "run-not-found" };
  }
  const replayed = tables.requests.replay(tenantNo, scope.principal, request);
  if (replayed !== undefined) {
    return replayed;
  }
  const run = tables.runs.findById(tenantNo, cancel.runId);
  if (run === undefined) {
    return { kind: "run-not-found" };
  }
  const outcome = cancelFoundRun(tables, run, cancel, nowMs);
  return tables.requests.store(tenantNo, scope.principal, request, outcome, nowMs);
}

function cancelFoundRun(tables: SessionTables, run: StoredRun, cancel: Cancel, nowMs: number): CancelOutcome {
  // The first wish stands: its principal is the one that the terminal event names.
  const row: RunRow =
    run.row.cancelledBy === "" ? { ...run.row, cancelledBy: cancel.cancelledBy, cancelReason: cancel.reason } : run.row;
  switch (run.row.state) {
    case "queued": {
      const ending = { status: RunStatus.CANCELLED, failure: new Uint8Array() };
      return { kind: "finished-now", ...appendEnd(tables, { ...run, row }, ending, cancel.event, nowMs) };
    }
    case "running":
      tables.runs.save({ ...run, row });
      return { kind: "requested", run: row };
    case "finished":
      return { kind: "already-finished", run: run.row };
  }
}

function appendEnd(
  tables: SessionTables,
  run: StoredRun,
  ending: Ending,
  event: (run: RunRow) => Uint8Array,
  nowMs: number,
): { readonly run: RunRow; readonly appended: Appended } {
  const [grown, appended] = tables.events.append(tables.sessions.get(run.sessionNo), [event(run.row)], nowMs);
  return { run: endRun(tables, run, grown, ending, nowMs), appended };
}
