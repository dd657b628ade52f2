/** Cancels a run, and what its session's subagents do for it. Keeps R1, R2 and R5: see command-run.ts. */

import type { Scope } from "../../../../kernel/store/scope.ts";
import type { CancelOutcome, CancelWish } from "../../changes.ts";
import type { Answered, Request } from "../../request.ts";
import type { SessionTables } from "../session-tables.ts";
import { stopRun, stopRunWithChildren } from "./command-run.ts";
import type { StoredRun } from "./run-columns.ts";

/** See SessionStore.cancelRun. */
export function cancelRun(
  tables: SessionTables,
  scope: Scope,
  request: Request<CancelOutcome>,
  cancel: CancelWish & { readonly runId: string },
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

function cancelFoundRun(tables: SessionTables, run: StoredRun, wish: CancelWish, nowMs: number): CancelOutcome {
  switch (run.row.state) {
    case "queued": {
      const stopped = { commanded: [], ended: [] };
      const row = stopRun(tables, run, wish, nowMs, stopped);
      const [appended] = stopped.ended;
      if (appended === undefined) throw new Error("a waiting run that is cancelled has its end at once");
      return { kind: "finished-now", run: row, appended };
    }
    case "running":
      return { kind: "requested", ...stopRunWithChildren(tables, run, wish, nowMs) };
    case "finished":
      return { kind: "already-finished", run: run.row };
  }
}
