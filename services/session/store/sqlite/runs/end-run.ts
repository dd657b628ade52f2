/**
 * Ends runs: by their worker's last batch, by the session service, by a cancel of a run that waits.
 *
 * Keeps R2 (a run that has ended never ends again, and its terminal event is stored with its end), R3 (its session's
 * next run may be claimed from then on), L4 (whoever ends a run over its worker's head takes the next epoch) and that no
 * accepted message is left unanswered: what the run was steered with and never read gets a run of its own.
 */

import type { Appended } from "../../../../kernel/event/appended.ts";
import { endedRun, maySeize, seizedRun } from "../../../rules/change-run.ts";
import { withCallEndings } from "../../../rules/open-calls.ts";
import { positionOf } from "../../../rules/order-runs.ts";
import { leftOver } from "../../../rules/run-commands.ts";
import type { FollowUp, RunEnding } from "../../changes.ts";
import type { RunRow, SessionRow } from "../../rows.ts";
import type { StoredSession } from "../life/session-columns.ts";
import type { SessionTables } from "../session-tables.ts";
import { openCallsOf } from "./read-open-calls.ts";
import type { StoredRun } from "./run-columns.ts";
import { waitingRun } from "./run-rows.ts";

interface Ended {
  readonly run: RunRow;
  readonly session: StoredSession;
  /** The RunQueued of a follow-up; undefined when there is none. */
  readonly followUp: Appended | undefined;
}

/**
 * Saves a run as finished and its session without it. The session's head is its terminal event. Without `followUp`, as
 * for a run that nobody took, nothing can have been left unread.
 */
export function endRun(
  tables: SessionTables,
  run: StoredRun,
  session: StoredSession,
  ending: Pick<RunEnding, "status" | "failure"> & { readonly followUp?: FollowUp },
  nowMs: number,
): Ended {
  const wasQueued = run.row.state === "queued";
  const open = tables.commands.listOpen(run);
  if (open.length > 0) tables.commands.removeThrough(run, run.lastCommandId);
  // A session that was closed meanwhile answers nothing any more.
  const isAnswering = ending.followUp !== undefined && session.row.state !== "closed";
  const unread = isAnswering ? leftOver(open) : undefined;
  const messageIds = run.row.messageIds.filter((id) => unread?.messageIds.includes(id) !== true);
  const row: RunRow = { ...endedRun(run.row, ending, session.row.headSeq, nowMs), messageIds };
  const sessionRow: SessionRow = wasQueued
    ? { ...session.row, queuedRuns: session.row.queuedRuns - 1 }
    : { ...session.row, activeRunId: "" };
  const closed: StoredRun = { ...run, row, actedCommandId: run.lastCommandId };
  tables.runs.save(closed);
  tables.calls.end(row.runId);
  if (unread !== undefined) tables.runs.saveMessages(closed);
  let next: StoredSession = { ...session, row: sessionRow };
  let followUp: Appended | undefined;
  if (unread !== undefined && ending.followUp !== undefined) {
    [next, followUp] = queueFollowUp(tables, next, row, unread, ending.followUp, nowMs);
  }
  next = tables.sessions.save(next);
  if (!wasQueued && next.row.queuedRuns > 0) {
    tables.runs.setBlocked(run.tenantNo, run.sessionNo, false);
  }
  return { run: row, session: next, followUp };
}

/** The run takes over from the one that ended: its agent and options, and who sent the first unread message. */
function queueFollowUp(
  tables: SessionTables,
  session: StoredSession,
  ended: RunRow,
  unread: NonNullable<ReturnType<typeof leftOver<ReturnType<typeof tables.commands.listOpen>[number]>>>,
  { runId, event }: FollowUp,
  nowMs: number,
): [StoredSession, Appended] {
  const { messageIds, priority, first } = unread;
  const { tenant, sessionId, agentId, options } = ended;
  const { principal, traceId } = first;
  const made = { tenant, sessionId, agentId, options, principal, traceId, runId, priority, messageIds };
  const position = positionOf(tables.runs.countWaitingAhead(session, priority), false);
  const draft = waitingRun({ ...made, collects: false, queuedSeq: session.row.headSeq + 1, queuedAtMs: nowMs });
  const [grown, appended] = tables.events.append(session, [event(draft, position)], nowMs);
  const queued = tables.runs.insertQueued(grown, draft, false);
  return [{ ...queued, row: { ...queued.row, queuedRuns: queued.row.queuedRuns + 1 } }, appended];
}

/** See SessionStore.finishRun. */
export function finishRun(
  tables: SessionTables,
  run: { readonly tenant: string; readonly runId: string; readonly epoch: number },
  finish: RunEnding & { readonly event: (run: RunRow) => Uint8Array },
  nowMs: number,
): { readonly run: RunRow; readonly appended: Appended } | undefined {
  const tenantNo = tables.tenants.find(run.tenant);
  const held = tenantNo === undefined ? undefined : tables.runs.findById(tenantNo, run.runId);
  if (held === undefined || !maySeize(held.row, run.epoch)) {
    return undefined;
  }
  const seized: StoredRun = { ...held, batchFirstSeq: 0, batchLastSeq: 0, row: seizedRun(held.row) };
  const session = tables.sessions.get(held.sessionNo);
  const events = withCallEndings(seized.row, openCallsOf(tables, session, held), [finish.event(seized.row)]);
  const [grown, appended] = tables.events.append(session, events, nowMs);
  const ended = endRun(tables, seized, grown, finish, nowMs);
  return { run: ended.run, appended: joined(appended, ended.followUp) };
}

/** Two changes of one log, one behind the other, as one. */
export function joined(first: Appended, second: Appended | undefined): Appended {
  return second === undefined ? first : { ...second, events: [...first.events, ...second.events] };
}
