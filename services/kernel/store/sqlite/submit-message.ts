/**
 * Accepts a message: its events, its run and the answer to its sender, in one change.
 *
 * Keeps R1 (the same request is answered, not repeated), R3 (one run at a time; the rest wait, bounded) and that a
 * refusal changes nothing: every check comes before the first write.
 */
import type { Scope } from "../scope.ts";
import type { Answered, NewMessage, Request, RunRow, SessionRow, SubmitRefusal, Submitted } from "../session-store.ts";
import type { StoredSession } from "./session-rows.ts";
import type { SessionTables } from "./session-tables.ts";

/** Why a run was asked to stop when a message interrupts it. */
const interruptReason = "interrupted by a newer message";

/** See SessionStore.submitMessage. */
export function submitMessage(
  tables: SessionTables,
  scope: Scope,
  request: Request<Submitted>,
  message: NewMessage,
  nowMs: number,
): Answered<Submitted> | SubmitRefusal {
  const tenantNo = tables.tenants.find(scope.tenant);
  if (tenantNo === undefined) {
    return { kind: "session-not-found" };
  }
  const replayed = tables.requests.replay(tenantNo, scope.principal, request);
  if (replayed !== undefined) {
    return replayed;
  }
  const session = tables.sessions.findById(tenantNo, message.sessionId);
  if (session === undefined) {
    return { kind: "session-not-found" };
  }
  const refusal = refuse(tables, session, message);
  if (refusal !== undefined) {
    return refusal;
  }
  const outcome = accept(tables, session, scope, message, nowMs);
  return tables.requests.store(tenantNo, scope.principal, request, outcome, nowMs);
}

function refuse(tables: SessionTables, session: StoredSession, message: NewMessage): SubmitRefusal | undefined {
  const { row, tenantNo, sessionNo } = session;
  if (row.state === "closed") {
    return { kind: "session-closed" };
  }
  if (message.ifHeadSeq !== 0 && message.ifHeadSeq !== row.headSeq) {
    return { kind: "head-moved", headSeq: row.headSeq };
  }
  if (message.rejectWhenBusy) {
    const runId = row.activeRunId || tables.runs.findFirstWaiting(tenantNo, sessionNo)?.row.runId;
    if (runId) {
      return { kind: "session-busy", runId };
    }
  }
  return row.queuedRuns >= message.maxQueuedRuns ? { kind: "queue-full", limit: message.maxQueuedRuns } : undefined;
}

function accept(
  tables: SessionTables,
  session: StoredSession,
  scope: Scope,
  message: NewMessage,
  nowMs: number,
): Submitted {
  const { row, tenantNo, sessionNo } = session;
  const agentId = message.agentId || row.agentId;
  const busy = row.activeRunId !== "";
  const waiting = row.queuedRuns === 0 ? 0 : tables.runs.countWaitingAhead(tenantNo, sessionNo, message.priority);
  const position = waiting + (busy ? 1 : 0);

  const isTitled = row.title === "" && message.title !== "";
  const [grown, appended] = tables.events.append(session, message.events({ position, agentId, isTitled }), nowMs);
  const next: SessionRow = {
    ...grown.row,
    title: isTitled ? message.title : row.title,
    state: "active",
    queuedRuns: row.queuedRuns + 1,
    messageCount: row.messageCount + 1,
    lastMessageAtMs: nowMs,
  };
  const run = newRun(row, scope, message, agentId, appended.headSeq, nowMs);
  tables.sessions.save({ ...session, row: next });
  tables.runs.insertQueued(tenantNo, sessionNo, run, busy);
  const interrupted = message.interrupt ? interruptActiveRun(tables, session, scope.principal) : undefined;
  return { session: next, run, seq: row.headSeq + 1, appended, interrupted };
}

function interruptActiveRun({ runs }: SessionTables, session: StoredSession, by: string): RunRow | undefined {
  const active = runs.findById(session.tenantNo, session.row.activeRunId);
  if (active === undefined || active.row.cancelledBy !== "") {
    return active?.row;
  }
  const row: RunRow = { ...active.row, cancelledBy: by, cancelReason: interruptReason };
  runs.save({ ...active, row });
  return row;
}

function newRun(
  session: SessionRow,
  scope: Scope,
  message: NewMessage,
  agentId: string,
  queuedSeq: number,
  nowMs: number,
): RunRow {
  return {
    tenant: session.tenant,
    runId: message.runId,
    sessionId: session.sessionId,
    agentId,
    state: "queued",
    status: 0,
    failure: new Uint8Array(),
    epoch: 0,
    attempt: 0,
    batchNo: 0,
    priority: message.priority,
    messageIds: [message.messageId],
    options: message.options,
    principal: scope.principal,
    traceId: message.traceId,
    queuedAtMs: nowMs,
    startedAtMs: 0,
    finishedAtMs: 0,
    queuedSeq,
    finishedSeq: 0,
    cancelledBy: "",
    cancelReason: "",
  };
}
