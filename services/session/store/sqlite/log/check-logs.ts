/**
 * Checks every log of a session.db that no process has open (`atoll doctor`).
 *
 * Keeps S1 and L9: dense cover from the oldest event to the head, checksums, events that decode, R2 (an ended run has its
 * one terminal event in the log, another has none), and the counters beside the log. The first bad event of each session
 * is named. Keeps L7: a log is read row by row, and findings are bounded.
 */
import type { DatabaseSync } from "node:sqlite";
import { readDatabase } from "../../../../kernel/store/sqlite/open-for-reading.ts";
import { LogDamaged } from "../../../../kernel/store/store-errors.ts";
import type { LogCheck, LogFinding } from "../../log-check.ts";
import { readNames, type StoredSession, selectSessions, toStoredSession } from "../life/session-columns.ts";
import { runNosOfSession } from "../runs/run-columns.ts";
import { sessionMigrations } from "../session-schema.ts";
import { checkLog, type RunEnd } from "./check-log.ts";
import type { EventRow } from "./event-rows.ts";

const maxFindings = 100;

/** See LogCheck. Never throws for what is wrong with the file. */
export function checkSqliteLogs(dataDir: string): LogCheck {
  try {
    const read = readDatabase(dataDir, "session.db", check);
    return read.kind === "read" ? read.found : read;
  } catch (error) {
    // In a damaged file it may be any error, also that a table or a column is not there.
    return { kind: "unreadable", problem: `session.db: ${describe(error)}: restore a backup` };
  }
}

function check(database: DatabaseSync): LogCheck {
  const version = Number(database.prepare("PRAGMA user_version").get()?.user_version ?? 0);
  const known = sessionMigrations.length;
  if (version !== known) {
    const remedy =
      version > known
        ? "run the newer version of the program"
        : "start and stop the mesh once, which brings it up to date";
    return { kind: "unreadable", problem: `session.db has schema ${version}, this program reads ${known}: ${remedy}` };
  }
  const findings: LogFinding[] = [];
  let sessions = 0;
  let events = 0;
  let found = 0;
  const note = (finding: LogFinding): void => {
    found += 1;
    if (findings.length < maxFindings) findings.push(finding);
  };
  for (const columns of selectSessions(database, "ORDER BY s.session_no").iterate()) {
    sessions += 1;
    const named = readNames(columns);
    try {
      const log = readLog(database, toStoredSession(columns));
      events += log.events;
      if (log.finding !== undefined) note({ ...named, ...log.finding });
    } catch (error) {
      note({ ...named, seq: 0, problem: `its rows can't be read: ${describe(error)}` });
    }
  }
  for (const problem of listFileProblems(database)) note({ tenant: "", sessionId: "", seq: 0, problem });
  return { kind: "checked", sessions, events, findings, more: found - findings.length };
}

function readLog(database: DatabaseSync, session: StoredSession): ReturnType<typeof checkLog> {
  const { tenantNo, sessionNo } = session;
  const rows = database
    .prepare(`SELECT first_seq AS firstSeq, last_seq AS lastSeq, crc32, events FROM event_rows
      WHERE tenant_no = ? AND session_no = ? ORDER BY first_seq`)
    .iterate(tenantNo, sessionNo);
  const runs = database
    .prepare(`SELECT run_id AS runId, state, finished_seq AS finishedSeq FROM runs
      WHERE run_no IN (${runNosOfSession})`)
    .all(sessionNo);
  return checkLog(session.row, guardRows(rows, session.row.sessionId), runs as unknown as readonly RunEnd[]);
}

/** A page of the file that SQLite can't read is a damage of the log that it belongs to. */
function* guardRows(rows: Iterable<unknown>, sessionId: string): Generator<EventRow> {
  let next = 1;
  try {
    for (const row of rows) {
      const each = row as EventRow;
      yield each;
      next = each.lastSeq + 1;
    }
  } catch (error) {
    throw new LogDamaged(sessionId, next, describe(error));
  }
}

function listFileProblems(database: DatabaseSync): string[] {
  const count = (rows: string): number =>
    Number(database.prepare(`SELECT count(*) AS count FROM ${rows}`).get()?.count);
  const strays = count(`event_rows e
    WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.session_no = e.session_no AND s.tenant_no = e.tenant_no)`);
  const lost = count(`runs WHERE run_no NOT IN (SELECT prior_run_no FROM runs)
    AND run_no NOT IN (SELECT last_run_no FROM sessions)`);
  const sound = database.prepare("PRAGMA integrity_check(1)").get()?.integrity_check;
  return [
    ...(strays === 0 ? [] : [`${strays} rows of events belong to no session`]),
    ...(lost === 0 ? [] : [`${lost} runs stand in no session's chain of runs`]),
    ...(sound === "ok" ? [] : [`session.db is no sound database: ${String(sound)}`]),
  ];
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
