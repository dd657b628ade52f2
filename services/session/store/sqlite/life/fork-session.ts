/**
 * Makes a session whose log begins as a copy of another one's.
 *
 * Keeps R1. Keeps S1 and S3: the copied events have the numbers and the bytes that they have in the original; where the
 * wanted end lies inside a merged delta, nobody knows any more which part of its text came before it, and the fork is
 * refused rather than made up. Keeps R2 and F3: every run that has not ended there gets its terminal event behind the
 * copy, and each of its calls an outcome. The
 * runs of the copied part are history: their rows stay the original's. Keeps L7: a log over a bound is not copied.
 */

import type { Scope } from "../../../../kernel/store/scope.ts";
import { type OpenRun, PrefixFold } from "../../../rules/fold-prefix.ts";
import { callEnding } from "../../../rules/open-calls.ts";
import type { Forked, ForkRefusal, SessionFork } from "../../changes.ts";
import type { Answered, Request } from "../../request.ts";
import type { SessionRow } from "../../rows.ts";
import { sessionStates } from "../../session-states.ts";
import type { EventRows } from "../log/event-rows.ts";
import type { SessionTables } from "../session-tables.ts";
import type { StoredSession } from "./session-columns.ts";

const pageEvents = 4_096;
const pageBytes = 4_194_304;

/** See SessionStore.forkSession. */
export function forkSession(
  tables: SessionTables,
  scope: Scope,
  request: Request<Forked>,
  fork: SessionFork,
  nowMs: number,
): Answered<Forked> | ForkRefusal {
  const tenantNo = tables.tenants.find(scope.tenant);
  if (tenantNo === undefined) return { kind: "session-not-found" };
  const replayed = tables.requests.replay(tenantNo, scope.principal, request);
  if (replayed !== undefined) return replayed;
  const original = tables.sessions.findById(tenantNo, fork.sessionId);
  if (original === undefined) return { kind: "session-not-found" };
  const keeper = tables.sessions.findByKey(tenantNo, fork.key);
  if (keeper !== undefined) return { kind: "key-taken", sessionId: keeper.row.sessionId };
  const { logId, oldestSeq, headSeq } = original.row;
  const atSeq = fork.atSeq === 0 ? headSeq : fork.atSeq;
  if (atSeq > headSeq) return { kind: "seq-ahead", logId, oldestSeq, headSeq };
  if (atSeq < oldestSeq) return { kind: "seq-trimmed", logId, oldestSeq, headSeq };
  if (tables.events.measure(original, atSeq) > fork.maxBytes) return { kind: "log-too-large" };
  const prefix = new PrefixFold(oldestSeq > 1);
  const last = foldThrough(tables.events, original, atSeq, prefix);
  if (last !== undefined && last.seq !== atSeq) {
    return { kind: "seq-merged", beforeSeq: last.firstSeq > oldestSeq ? last.firstSeq - 1 : 0, afterSeq: last.seq };
  }
  const outcome = copy(tables, original, { ...fork, atSeq, createdBy: scope.principal }, prefix, nowMs);
  return tables.requests.store(tenantNo, scope.principal, request, outcome, nowMs);
}

/** Gives the last event that begins at or before `throughSeq`. */
function foldThrough(
  events: EventRows,
  session: StoredSession,
  throughSeq: number,
  prefix: PrefixFold,
): { readonly firstSeq: number; readonly seq: number } | undefined {
  let last: { readonly firstSeq: number; readonly seq: number } | undefined;
  let afterSeq = Math.max(0, session.row.oldestSeq - 1);
  while (afterSeq < throughSeq) {
    const page = events.read(session, { afterSeq, throughSeq, maxEvents: pageEvents, maxBytes: pageBytes });
    for (const event of page) prefix.apply(event);
    last = page.at(-1) ?? last;
    afterSeq = last?.seq ?? throughSeq;
  }
  return last;
}

function copy(
  { sessions, events }: SessionTables,
  original: StoredSession,
  fork: SessionFork & { readonly createdBy: string },
  prefix: PrefixFold,
  nowMs: number,
): Forked {
  const { row } = original;
  const { labels, profile, oldestSeq, idleTimeoutMs, trimmedAtMs } = row;
  const { atSeq, key, createdBy } = fork;
  const title = fork.title || row.title;
  const agentId = fork.agentId || row.agentId;
  const made = sessions.insert(
    original.tenantNo,
    {
      ...{ sessionId: fork.forkId, logId: fork.logId, key, agentId, title, labels, profile },
      ...{ parentSessionId: "", forkedFromSessionId: row.sessionId, forkedAtSeq: atSeq },
    },
    createdBy,
    nowMs,
  );
  const logBytes = events.copy(original, made, atSeq);
  const copied: SessionRow = {
    ...{ ...made.row, idleTimeoutMs, logBytes, oldestSeq: atSeq === 0 ? 0 : oldestSeq, headSeq: atSeq, trimmedAtMs },
    // Messages that were trimmed were there.
    state: prefix.messageCount > 0 || oldestSeq > 1 ? "active" : "created",
    messageCount: prefix.messageCount,
    lastMessageAtMs: prefix.lastMessageAtMs,
    compactedSeq: Math.min(row.compactedSeq, atSeq),
    // A floor that no kept event says was set before them, or not yet.
    contextFloorSeq: prefix.contextFloorSeq ?? (row.contextFloorSeq < oldestSeq ? row.contextFloorSeq : 0),
  };
  const endingsOf = (run: OpenRun) => [...run.calls.map((call) => callEnding(run, call)), fork.ending(run)];
  const tail = [...prefix.openRuns.flatMap(endingsOf), ...updates(copied, fork, prefix)];
  const [grown, appended] = events.append({ ...made, row: copied }, tail, nowMs);
  const saved = sessions.save(grown);
  return { session: saved.row, appended };
}

/** What the copied events say of the session and is not so in the fork. */
function updates(session: SessionRow, { update }: SessionFork, { title, state }: PrefixFold): Uint8Array[] {
  const fields: ("title" | "state")[] = [];
  if (title !== undefined && title !== session.title) fields.push("title");
  if (state !== undefined && state !== sessionStates[session.state]) fields.push("state");
  return fields.length === 0 ? [] : [update(session, fields)];
}
