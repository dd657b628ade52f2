/**
 * Tells running runs something: a message that steers one, a wish that one stop with its subagents.
 *
 * Keeps R5: a command is a row of its request's change. Keeps L7: a cancel reaches a bounded number of child sessions
 * that have something to stop, and looks at a bounded number of others to find those below them.
 */
import { RunStatus } from "../../../../../gen/atoll/event/v1/run_events_pb.ts";
import type { Appended } from "../../../../kernel/event/appended.ts";
import { cancelledRun } from "../../../rules/change-run.ts";
import { judgeCancel, maxCancelDepth, maxCancelledSessions, maxSearchedSessions } from "../../../rules/judge-cancel.ts";
import type { CancelWish, Commanded } from "../../changes.ts";
import type { RunCommandRow, RunRow } from "../../rows.ts";
import type { StoredSession } from "../life/session-columns.ts";
import type { SessionTables } from "../session-tables.ts";
import { endRun } from "./end-run.ts";
import type { StoredRun } from "./run-columns.ts";
import type { StoredCommand } from "./run-command-rows.ts";

/** What a wish to cancel did to several runs. */
interface Stopped {
  readonly commanded: Commanded[];
  readonly ended: Appended[];
}

/** Stores the command under the run's next number; `run` is the row as it is to be stored. */
export function commandRun(
  tables: SessionTables,
  run: StoredRun,
  command: Omit<StoredCommand, "commandId" | "createdAtMs">,
  nowMs: number,
): Commanded {
  const stored: StoredCommand = { ...command, commandId: run.lastCommandId + 1, createdAtMs: nowMs };
  tables.commands.insert(run, stored);
  tables.runs.saveMessages({ ...run, lastCommandId: stored.commandId });
  return { run: run.row, command: toCommandRow(stored) };
}

export function toCommandRow({ commandId, kind, payload, createdAtMs }: StoredCommand): RunCommandRow {
  return { commandId, kind, payload, createdAtMs };
}

/** Asks a running run and everything below its session to stop. */
export function stopRunWithChildren(
  tables: SessionTables,
  run: StoredRun,
  wish: CancelWish,
  nowMs: number,
): Stopped & { readonly run: RunRow } {
  const stopped: Stopped = { commanded: [], ended: [] };
  const row = stopRun(tables, run, wish, nowMs, stopped);
  stopChildren(tables, { tenantNo: run.tenantNo, sessionId: run.row.sessionId }, wish, nowMs, stopped);
  return { ...stopped, run: row };
}

/** Asks a session's active run, when it has one, and everything below the session to stop. */
export function stopSessionWithChildren(
  tables: SessionTables,
  { tenantNo, row }: StoredSession,
  wish: CancelWish,
  nowMs: number,
): Stopped {
  const stopped: Stopped = { commanded: [], ended: [] };
  if (row.activeRunId !== "") stopRun(tables, tables.runs.get(tenantNo, row.activeRunId), wish, nowMs, stopped);
  stopChildren(tables, { tenantNo, sessionId: row.sessionId }, wish, nowMs, stopped);
  return stopped;
}

/** Asks everything below a session to stop, a generation at a time, the newest sessions first. */
function stopChildren(
  tables: SessionTables,
  { tenantNo, sessionId }: { readonly tenantNo: number; readonly sessionId: string },
  wish: CancelWish,
  nowMs: number,
  stopped: Stopped,
): void {
  let parents = new Set([sessionId]);
  let toStop = maxCancelledSessions;
  let toSearch = maxSearchedSessions;
  for (let depth = 0; depth < maxCancelDepth && parents.size > 0 && toStop > 0; depth++) {
    const next = new Set<string>();
    for (const parent of parents) {
      const working = tables.sessions.listWorkingChildren(tenantNo, parent, toStop);
      toStop -= working.length;
      for (const child of working) {
        stopRunsOf(tables, child, wish, nowMs, stopped);
        next.add(child.row.sessionId);
      }
      const children = tables.sessions.listChildren(tenantNo, parent, toSearch);
      toSearch -= children.length;
      for (const child of children) if (child.isParent === 1) next.add(child.sessionId);
    }
    parents = next;
  }
}

/** Asks a session's active run to stop and ends the ones that wait. */
function stopRunsOf(
  tables: SessionTables,
  session: StoredSession,
  wish: CancelWish,
  nowMs: number,
  stopped: Stopped,
): void {
  const { tenantNo, sessionNo } = session;
  for (const run of tables.runs.listWaiting(tenantNo, sessionNo)) stopRun(tables, run, wish, nowMs, stopped);
  const active = tables.runs.findById(tenantNo, session.row.activeRunId);
  if (active !== undefined) stopRun(tables, active, wish, nowMs, stopped);
}

/** Gives the run as it is then. */
export function stopRun(
  tables: SessionTables,
  run: StoredRun,
  wish: CancelWish,
  nowMs: number,
  stopped: Stopped,
): RunRow {
  const row = cancelledRun(run.row, wish.cancelledBy, wish.reason);
  switch (judgeCancel(run.row)) {
    case "finish": {
      const session = tables.sessions.get(run.sessionNo);
      const [grown, appended] = tables.events.append(session, [wish.event(row)], nowMs);
      const ending = { status: RunStatus.CANCELLED, failure: new Uint8Array() };
      stopped.ended.push(appended);
      return endRun(tables, { ...run, row }, grown, ending, nowMs).run;
    }
    case "command": {
      tables.runs.save({ ...run, row });
      const command = { kind: "cancel", payload: wish.command, ...ofNoMessage } as const;
      stopped.commanded.push(commandRun(tables, { ...run, row }, command, nowMs));
      return row;
    }
    case "told":
    case "ended":
      return run.row;
  }
}

const ofNoMessage = { messageId: "", priority: 0, principal: "", traceId: "" };
