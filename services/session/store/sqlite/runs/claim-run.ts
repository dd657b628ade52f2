/**
 * Gives runs to workers: waiting ones, and running ones whose holder is gone.
 *
 * Keeps L4 (every taking has an epoch of its own and starts its batches at 1), R3 (a session's next run waits until its
 * running one has ended) and R4 (a taken-over run keeps its id).
 */
import { mayTakeOver, takenRun } from "../../../rules/change-run.ts";
import type { RunsInReach } from "../../../rules/place-run.ts";
import type { Claimed, ClaimInput } from "../../changes.ts";
import type { RunRow, SessionRow } from "../../rows.ts";
import type { StoredSession } from "../life/session-columns.ts";
import type { SessionTables } from "../session-tables.ts";
import type { StoredRun } from "./run-columns.ts";
import type { ReachedRuns } from "./run-rows.ts";

/** See SessionStore.claimRuns. */
export function claimRuns(tables: SessionTables, input: ClaimInput, nowMs: number): Claimed[] {
  const claimed: Claimed[] = [];
  const reach = input.reach && reachedRuns(tables, input.reach);
  if (reach === "none") {
    return [];
  }
  while (claimed.length < input.limit) {
    const run = tables.runs.findNextReady(reach);
    if (run === undefined) {
      break;
    }
    const session = tables.sessions.get(run.sessionNo);
    const queuedRuns = session.row.queuedRuns - 1;
    const row: SessionRow = { ...session.row, activeRunId: run.row.runId, queuedRuns };
    claimed.push(take(tables, run, { ...session, row }, input.events, nowMs));
    if (queuedRuns > 0) {
      tables.runs.setBlocked(run.tenantNo, run.sessionNo, true);
    }
  }
  return claimed;
}

/** "none" for a tenant that has no rows; undefined when every run is in reach. */
function reachedRuns(
  tables: SessionTables,
  { tenant, agentIds, exceptAgentIds }: RunsInReach,
): ReachedRuns | undefined | "none" {
  const tenantNo = tenant === "" ? 0 : tables.tenants.find(tenant);
  if (tenantNo === undefined) {
    return "none";
  }
  const isEvery = tenantNo === 0 && agentIds === undefined && exceptAgentIds.length === 0;
  return isEvery ? undefined : { tenantNo, agentIds: agentIds ?? null, exceptAgentIds };
}

/** See SessionStore.takeOverRun. */
export function takeOverRun(
  tables: SessionTables,
  run: { readonly tenant: string; readonly runId: string; readonly epoch: number },
  events: ClaimInput["events"],
  nowMs: number,
): Claimed | undefined {
  const tenantNo = tables.tenants.find(run.tenant);
  const held = tenantNo === undefined ? undefined : tables.runs.findById(tenantNo, run.runId);
  if (held === undefined || !mayTakeOver(held.row, run.epoch)) {
    return undefined;
  }
  return take(tables, held, tables.sessions.get(held.sessionNo), events, nowMs);
}

function take(
  tables: SessionTables,
  run: StoredRun,
  session: StoredSession,
  events: ClaimInput["events"],
  nowMs: number,
): Claimed {
  const row: RunRow = takenRun(run.row, nowMs);
  if (row.attempt === 1) tables.calls.begin(row.runId);
  const [grown, appended] = tables.events.append(session, events(row), nowMs);
  const saved = tables.sessions.save(grown);
  tables.runs.save({ ...run, batchFirstSeq: 0, batchLastSeq: 0, row });
  return { run: row, session: saved.row, appended };
}
