/**
 * Removes the oldest events of logs, whole rows of them: a merged window, or the batch of one commit.
 *
 * Keeps S1: only a beginning is removed, so what is kept has no gap. Keeps R2 and R4: events of a run that has not ended
 * stay, with the messages that it answers and all that comes behind them. Keeps L7: one call looks at a bounded number of
 * sessions and rows. Bytes, words and the oldest seq change in the transaction that removes the events.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { fromBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Event, EventSchema } from "../../../../gen/atoll/event/v1/event_pb.ts";
import type { TrimmedLog } from "../changes.ts";
import type { LogBounds, SessionStore, Trimming } from "../session-store.ts";
import type { StoredRow } from "./event-rows.ts";
import type { StoredSession } from "./session-rows.ts";
import type { SessionTables } from "./session-tables.ts";

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
    let rowsLeft = maxRows;
    for (const { sessionNo, mayBeDue } of page) {
      if (mayBeDue !== 1) continue;
      // The rest of it is for the next call.
      if (rowsLeft <= 0) return { trimmed, cursor: String(Number(sessionNo) - 1) };
      const done = trimLog(tables, tables.sessions.get(Number(sessionNo)), bounds, rowsLeft, nowMs);
      rowsLeft -= done.rows;
      if (done.log !== undefined) trimmed.push(done.log);
      if (done.more) return { trimmed, cursor: String(Number(sessionNo) - 1) };
    }
    const last = page.at(-1);
    return { trimmed, cursor: last === undefined || page.length < maxSessions ? "" : String(last.sessionNo) };
  }
}

function trimLog(
  tables: SessionTables,
  session: StoredSession,
  bounds: LogBounds,
  maxRows: number,
  nowMs: number,
): { readonly rows: number; readonly log: TrimmedLog | undefined; readonly more: boolean } {
  const { row } = session;
  const isNeeded = unfinishedIn(tables, session);
  let rows = 0;
  let more = true;
  let { logBytes } = row;
  let throughSeq = row.oldestSeq - 1;
  for (const stored of tables.events.iterateRows(session, row.oldestSeq)) {
    if (rows === maxRows) break;
    rows += 1;
    if (!isDue(stored, { ...bounds, headSeq: row.headSeq, logBytes }) || isNeeded(stored)) {
      more = false;
      break;
    }
    throughSeq = stored.lastSeq;
    logBytes -= stored.bytes;
  }
  more &&= throughSeq < row.headSeq;
  if (throughSeq < row.oldestSeq) return { rows, log: undefined, more };
  tables.events.replaceRows(session, row.oldestSeq, throughSeq, []);
  tables.search.removeBefore(session, throughSeq + 1);
  // What was trimmed before it could be searched has parts of answers that never end.
  if (row.searchedSeq < throughSeq) tables.search.saveParts(session, []);
  tables.sessions.save({
    ...session,
    row: {
      ...row,
      oldestSeq: throughSeq + 1,
      logBytes,
      compactedSeq: Math.max(row.compactedSeq, throughSeq),
      searchedSeq: Math.max(row.searchedSeq, throughSeq),
      trimmedAtMs: nowMs,
    },
  });
  const { tenant, sessionId } = row;
  const events = throughSeq - row.oldestSeq + 1;
  const log = { tenant, sessionId, oldestSeq: throughSeq + 1, events, bytes: row.logBytes - logBytes };
  return { rows, log, more };
}

function isDue(
  stored: StoredRow,
  { keepFromMs, maxEvents, maxBytes, headSeq, logBytes }: LogBounds & { headSeq: number; logBytes: number },
): boolean {
  if (maxEvents > 0 && headSeq - stored.lastSeq >= maxEvents) return true;
  if (maxBytes > 0 && logBytes > maxBytes) return true;
  if (keepFromMs === 0) return false;
  const newest = stored.events().at(-1);
  const time = newest === undefined ? undefined : fromBinary(EventSchema, newest.bytes).time;
  return time !== undefined && timestampMs(time) < keepFromMs;
}

/** Says whether a row has something that a run needs which has not ended. */
function unfinishedIn(
  { runs }: SessionTables,
  { tenantNo, sessionNo, row }: StoredSession,
): (row: StoredRow) => boolean {
  const active = row.activeRunId === "" ? [] : [runs.get(tenantNo, row.activeRunId)];
  const waiting = row.queuedRuns === 0 ? [] : runs.listWaiting(tenantNo, sessionNo);
  const unfinished = [...active, ...waiting].map((run) => run.row);
  if (unfinished.length === 0) return () => false;
  const runIds = new Set(unfinished.map(({ runId }) => runId));
  const messageIds = new Set(unfinished.flatMap((run) => run.messageIds));
  return (stored) =>
    decode(stored).some(
      ({ runId, body }) =>
        runIds.has(runId) ||
        (body.case === "messageReceived" && (runIds.has(body.value.runId) || messageIds.has(body.value.messageId))),
    );
}

function decode(stored: StoredRow): Event[] {
  return stored.events().map(({ bytes }) => fromBinary(EventSchema, bytes));
}
