/**
 * Removes the oldest events of logs, whole rows of them: a merged window, or the batch of one commit.
 *
 * Keeps S1: only a beginning is removed, so what is kept has no gap. Keeps R2 and R4: events of a run that has not ended
 * stay, with the messages that it answers and all that comes behind them. Keeps L7: one call looks at a bounded number of
 * sessions and rows. Bytes, words and the oldest seq change in the transaction that removes the events. A log that can't
 * be read is trimmed up to there and named (L9), so that it holds up no other. Bodies that a worker wrote are not decoded.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { fromBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { EventSchema } from "../../../../../gen/atoll/event/v1/event_pb.ts";
import type { StoredEvent } from "../../../../kernel/event/stored-event.ts";
import { readEventBody } from "../../../../kernel/event/wire/read-event-body.ts";
import { readEventRun } from "../../../../kernel/event/wire/read-event-run.ts";
import { readEventTime } from "../../../../kernel/event/wire/read-event-time.ts";
import { LogDamaged } from "../../../../kernel/store/store-errors.ts";
import type { TrimmedLog } from "../../changes.ts";
import type { SessionStore } from "../../session-store.ts";
import type { LogBounds, Trimming } from "../../upkeep.ts";
import type { StoredSession } from "../life/session-columns.ts";
import type { SessionTables } from "../session-tables.ts";
import { decodeEvent, type StoredRow } from "./event-rows.ts";

/** Of atoll.event.v1.Event.body; the session service writes it. */
const messageReceivedField = 16;

type Trim = Parameters<SessionStore["trimLogs"]>[0];

export class LogRetention {
  private readonly selectPage: StatementSync;

  constructor(database: DatabaseSync) {
    this.selectPage = database.prepare(`SELECT session_no AS sessionNo, oldest_seq <= head_seq AND (
        (:maxEvents > 0 AND head_seq - oldest_seq >= :maxEvents) OR (:maxBytes > 0 AND log_bytes > :maxBytes)
        OR (:keepFromMs > 0 AND created_at_ms < :keepFromMs)) AS mayBeDue
      FROM sessions WHERE session_no > :after ORDER BY session_no LIMIT :limit`);
  }

  /** See SessionStore.trimLogs; inside a transaction. */
  trim(tables: SessionTables, { bounds, cursor, maxSessions, maxRows }: Trim, nowMs: number): Trimming {
    const page = this.selectPage.all({ ...bounds, after: Number(cursor), limit: maxSessions });
    const trimmed: TrimmedLog[] = [];
    const damaged: LogDamaged[] = [];
    let rowsLeft = maxRows;
    for (const { sessionNo, mayBeDue } of page) {
      if (mayBeDue !== 1) continue;
      const before = { trimmed, damaged, cursor: String(Number(sessionNo) - 1) };
      if (rowsLeft <= 0) return before;
      const session = tables.sessions.get(Number(sessionNo));
      const plan = planTrim(tables, session, bounds, rowsLeft);
      rowsLeft -= plan.rows;
      if (plan.damage !== undefined) damaged.push(plan.damage);
      if (plan.throughSeq >= session.row.oldestSeq) trimmed.push(trimLog(tables, session, plan, nowMs));
      if (plan.more) return before;
    }
    const last = page.at(-1);
    return { trimmed, damaged, cursor: last === undefined || page.length < maxSessions ? "" : String(last.sessionNo) };
  }
}

/** What is to go of one log. */
interface TrimPlan {
  /** Before the oldest seq when nothing is. */
  readonly throughSeq: number;
  readonly bytes: number;
  /** Rows that were looked at. */
  readonly rows: number;
  /** There may be more to go, behind the last row that was looked at. */
  readonly more: boolean;
  /** Where the log can't be read; the plan ends before it. */
  readonly damage?: LogDamaged;
}

function planTrim(tables: SessionTables, session: StoredSession, bounds: LogBounds, maxRows: number): TrimPlan {
  const { oldestSeq, headSeq, logBytes } = session.row;
  const isNeeded = unfinishedIn(tables, session);
  let rows = 0;
  let bytes = 0;
  let throughSeq = oldestSeq - 1;
  try {
    for (const stored of tables.events.iterateRows(session, oldestSeq)) {
      if (rows === maxRows) return { throughSeq, bytes, rows, more: true };
      rows += 1;
      if (!isDue(stored, { ...bounds, headSeq, logBytes: logBytes - bytes }) || isNeeded(stored)) break;
      throughSeq = stored.lastSeq;
      bytes += stored.bytes;
    }
  } catch (damage) {
    if (!(damage instanceof LogDamaged)) throw damage;
    return { throughSeq, bytes, rows, more: false, damage };
  }
  return { throughSeq, bytes, rows, more: false };
}

function trimLog(
  tables: SessionTables,
  session: StoredSession,
  { throughSeq, bytes }: TrimPlan,
  nowMs: number,
): TrimmedLog {
  const { row } = session;
  tables.events.replaceRows(session, row.oldestSeq, throughSeq, []);
  tables.search.removeBefore(session, throughSeq + 1);
  // What was trimmed before it could be searched has parts of answers that never end.
  if (row.searchedSeq < throughSeq) tables.search.saveParts(session, []);
  tables.sessions.save({
    ...session,
    row: {
      ...row,
      oldestSeq: throughSeq + 1,
      logBytes: row.logBytes - bytes,
      compactedSeq: Math.max(row.compactedSeq, throughSeq),
      searchedSeq: Math.max(row.searchedSeq, throughSeq),
      trimmedAtMs: nowMs,
    },
  });
  const { tenant, sessionId, oldestSeq } = row;
  return { tenant, sessionId, oldestSeq: throughSeq + 1, events: throughSeq - oldestSeq + 1, bytes };
}

function isDue(
  stored: StoredRow,
  { keepFromMs, maxEvents, maxBytes, headSeq, logBytes }: LogBounds & { headSeq: number; logBytes: number },
): boolean {
  if (maxEvents > 0 && headSeq - stored.lastSeq >= maxEvents) return true;
  if (maxBytes > 0 && logBytes > maxBytes) return true;
  if (keepFromMs === 0) return false;
  const newest = stored.events().at(-1);
  const time = newest === undefined ? undefined : fromBinary(EventSchema, readEventTime(newest.bytes)).time;
  return time !== undefined && timestampMs(time) < keepFromMs;
}

/** Says whether a row has something that a run needs which has not ended. */
function unfinishedIn(
  { runs }: SessionTables,
  { tenantNo, sessionNo, row: { sessionId, activeRunId, queuedRuns } }: StoredSession,
): (row: StoredRow) => boolean {
  const active = activeRunId === "" ? [] : [runs.get(tenantNo, activeRunId)];
  const waiting = queuedRuns === 0 ? [] : runs.listWaiting(tenantNo, sessionNo);
  const unfinished = [...active, ...waiting].map((run) => run.row);
  if (unfinished.length === 0) return () => false;
  const runIds = new Set(unfinished.map(({ runId }) => runId));
  const messageIds = new Set(unfinished.flatMap((run) => run.messageIds));
  return (stored) => stored.events().some((event) => runIds.has(readEventRun(event.bytes)) || isAnswered(event));

  function isAnswered(event: StoredEvent): boolean {
    if (readEventBody(event.bytes) !== messageReceivedField) return false;
    const { body } = decodeEvent(event, sessionId);
    return body.case === "messageReceived" && (runIds.has(body.value.runId) || messageIds.has(body.value.messageId));
  }
}
