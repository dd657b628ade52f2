/**
 * Accepts a message: its events, its run and the answer to its sender, in one change.
 *
 * Keeps R1 (the same request is answered, not repeated), R3 (one run at a time; the rest wait, bounded) and that a
 * refusal changes nothing: every check comes before the first write.
 */

import type { Scope } from "../../../../kernel/store/scope.ts";
import { judgeSubmit, noSession, type SubmitVerdict } from "../../../rules/judge-submit.ts";
import { positionOf } from "../../../rules/order-runs.ts";
import type { MessageContext, NewMessage, SubmitRefusal, Submitted } from "../../changes.ts";
import type { Answered, Request } from "../../request.ts";
import type { RunRow, SessionRow } from "../../rows.ts";
import type { StoredSession } from "../life/session-columns.ts";
import type { SessionTables } from "../session-tables.ts";
import { commandRun, stopRunWithChildren } from "./command-run.ts";
import type { StoredRun } from "./run-columns.ts";
import { waitingRun } from "./run-rows.ts";

/** See SessionStore.submitMessage. */
export function submitMessage(
  tables: SessionTables,
  scope: Scope,
  request: Request<Submitted>,
  message: NewMessage,
  nowMs: number,
): Answered<Submitted> | SubmitRefusal {
  const known = tables.tenants.find(scope.tenant);
  const replayed = known === undefined ? undefined : tables.requests.replay(known, scope.principal, request);
  if (replayed !== undefined) {
    return replayed;
  }
  const found = known === undefined ? undefined : findSession(tables, known, message);
  if (found === undefined && typeof message.to === "string") {
    return { kind: "session-not-found" };
  }
  const verdict = found === undefined ? judgeFirst(message) : judge(found, tables, scope, message);
  if (isRefusal(verdict)) return verdict;
  const session = found ?? makeSession(tables, scope, message, nowMs);
  const { tenantNo } = session;
  const change: Change = { tables, session, scope, message, nowMs };
  let outcome: Submitted;
  switch (verdict.kind) {
    case "queue":
      outcome = queueRun(change, verdict.interrupts);
      break;
    case "steer":
      outcome = steerRun(change, tables.runs.get(tenantNo, verdict.runId));
      break;
    case "join":
      outcome = joinRun(change, tables.runs.get(tenantNo, verdict.runId));
      break;
  }
  return tables.requests.store(tenantNo, scope.principal, request, outcome, nowMs);
}

/** Resets by a policy that a session remembers. */
const maxRememberedResets = 8;

interface Change {
  readonly tables: SessionTables;
  readonly session: StoredSession;
  readonly scope: Scope;
  readonly message: NewMessage;
  readonly nowMs: number;
}

type Entry = Extract<SubmitVerdict, { kind: "queue" | "steer" | "join" }>;

function isRefusal(verdict: SubmitVerdict): verdict is Exclude<SubmitVerdict, Entry> {
  return verdict.kind !== "queue" && verdict.kind !== "steer" && verdict.kind !== "join";
}

function findSession({ sessions }: SessionTables, tenantNo: number, { to }: NewMessage): StoredSession | undefined {
  return typeof to === "string" ? sessions.findById(tenantNo, to) : sessions.findByKey(tenantNo, to.key);
}

function judgeFirst({ entry, ifHeadSeq, maxQueuedRuns }: NewMessage): SubmitVerdict {
  return judgeSubmit(noSession, { mode: entry.kind, ifHeadSeq, maxQueuedRuns });
}

/** For a message that is accepted: a refused one leaves no session. */
function makeSession(
  { tenants, sessions }: SessionTables,
  scope: Scope,
  { to }: NewMessage,
  nowMs: number,
): StoredSession {
  if (typeof to === "string") throw new TypeError("a session that is named by its id is not made here");
  return sessions.insert(tenants.findOrInsert(scope.tenant), to, scope.principal, nowMs);
}

function judge(
  session: StoredSession,
  { runs, commands }: SessionTables,
  scope: Scope,
  message: NewMessage,
): SubmitVerdict {
  const { row, tenantNo, sessionNo } = session;
  const { ifHeadSeq, maxQueuedRuns, options } = message;
  return judgeSubmit(
    {
      isClosed: row.state === "closed",
      headSeq: row.headSeq,
      activeRunId: row.activeRunId,
      queuedRuns: row.queuedRuns,
      activeRun: () => {
        const active = runs.get(tenantNo, row.activeRunId);
        return { isCancelled: active.row.cancelledBy !== "", openCommands: commands.countOpen(active) };
      },
      firstWaiting: () => runs.findFirstWaiting(tenantNo, sessionNo)?.row,
      collecting: () => {
        const alike = { principal: scope.principal, agentId: message.agentId || row.agentId, options };
        const run = runs.findCollecting(tenantNo, sessionNo, alike)?.row;
        return run && { runId: run.runId, messages: run.messageIds.length };
      },
    },
    { mode: message.entry.kind, ifHeadSeq, maxQueuedRuns },
  );
}

/** Appends the message's events; the session that is returned knows of it and is not saved yet. */
function receive(
  { tables, session, message, nowMs }: Change,
  context: Pick<MessageContext, "runId" | "entered" | "position" | "agentId">,
): Pick<Submitted, "messageId" | "session" | "seq" | "appended"> {
  const { row } = session;
  const isTitled = row.title === "" && message.title !== "";
  const resets = message.isResetDue(row, nowMs);
  const resetFloorSeq = resets ? row.headSeq : 0;
  const events = message.events({ ...context, isTitled, resetFloorSeq, wakes: row.state === "idle" });
  const [grown, appended] = tables.events.append(session, events, nowMs);
  const next: SessionRow = {
    ...grown.row,
    title: isTitled ? message.title : row.title,
    state: "active",
    contextFloorSeq: resets ? resetFloorSeq : row.contextFloorSeq,
    resetsAtMs: resets ? [...row.resetsAtMs, nowMs].slice(-maxRememberedResets) : row.resetsAtMs,
    messageCount: row.messageCount + 1,
    lastMessageAtMs: nowMs,
  };
  return { messageId: message.messageId, session: next, seq: row.headSeq + 1, appended };
}

function queueRun(change: Change, interrupts: boolean): Submitted {
  const { tables, session, scope, message, nowMs } = change;
  const { row, tenantNo } = session;
  const { runId, priority, options, traceId, entry } = message;
  const agentId = message.agentId || row.agentId;
  const isBusy = row.activeRunId !== "";
  const position = positionOf(tables.runs.countWaitingAhead(session, priority), isBusy);
  const received = receive(change, { runId, entered: "queued", position, agentId });
  const next: SessionRow = { ...received.session, queuedRuns: row.queuedRuns + 1 };
  const run = waitingRun({
    ...{ tenant: row.tenant, sessionId: row.sessionId, runId, agentId, priority, options, traceId },
    messageIds: [message.messageId],
    collects: entry.kind === "collect",
    principal: scope.principal,
    queuedAtMs: nowMs,
    queuedSeq: received.appended.headSeq,
  });
  const saved = tables.sessions.save(tables.runs.insertQueued({ ...session, row: next }, run, isBusy));
  const queued = { ...received, session: saved.row, run };
  if (!interrupts || entry.kind !== "interrupt") return { ...queued, commanded: [], ended: [] };
  const active = tables.runs.get(tenantNo, row.activeRunId);
  const { commanded, ended } = stopRunWithChildren(tables, active, entry.wish, nowMs);
  return { ...queued, commanded, ended };
}

function steerRun(change: Change, active: StoredRun): Submitted {
  const { tables, session, scope, message, nowMs } = change;
  const { messageId, priority, traceId, entry } = message;
  const { runId, agentId } = active.row;
  const received = receive(change, { runId, entered: "steered", position: 0, agentId });
  const saved = tables.sessions.save({ ...session, row: received.session });
  const row: RunRow = { ...active.row, messageIds: [...active.row.messageIds, messageId] };
  const payload = entry.kind === "steer" ? entry.command : new Uint8Array();
  const command = { kind: "steer", messageId, priority, principal: scope.principal, traceId, payload } as const;
  const commanded = commandRun(tables, { ...active, row }, command, nowMs);
  return { ...received, session: saved.row, run: row, commanded: [commanded], ended: [] };
}

function joinRun(change: Change, waiting: StoredRun): Submitted {
  const { tables, session, message } = change;
  const { runId, agentId, messageIds } = waiting.row;
  const received = receive(change, { runId, entered: "joined", position: 0, agentId });
  const saved = tables.sessions.save({ ...session, row: received.session });
  const priority = Math.max(waiting.row.priority, message.priority);
  const row: RunRow = { ...waiting.row, priority, messageIds: [...messageIds, message.messageId] };
  tables.runs.saveMessages({ ...waiting, row });
  return { ...received, session: saved.row, run: row, commanded: [], ended: [] };
}
