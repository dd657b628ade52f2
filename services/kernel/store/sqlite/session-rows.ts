/** Reads and writes rows of `sessions`. Keeps: a row is found only through its tenant, or by a number that was. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { NewSession, SessionCounts } from "../changes.ts";
import type { SessionRow } from "../rows.ts";

/** A session with its place in the file. */
export interface StoredSession {
  readonly sessionNo: number;
  readonly tenantNo: number;
  readonly row: SessionRow;
}

/** What `sessionColumns` selects. */
type SessionColumns = Omit<SessionRow, "labels"> & { sessionNo: number; tenantNo: number; labels: string };

/** Of `sessions s JOIN tenants t`. */
export const sessionColumns = `s.session_no AS sessionNo, s.tenant_no AS tenantNo, t.tenant, s.session_id AS sessionId,
  s.session_key AS "key", s.agent_id AS agentId, s.state, s.title, s.labels, s.log_id AS logId, s.head_seq AS headSeq,
  s.oldest_seq AS oldestSeq, s.active_run_id AS activeRunId, s.queued_runs AS queuedRuns,
  s.parent_session_id AS parentSessionId, s.created_by AS createdBy, s.created_at_ms AS createdAtMs,
  s.updated_at_ms AS updatedAtMs, s.last_message_at_ms AS lastMessageAtMs, s.message_count AS messageCount, s.profile,
  s.idle_timeout_ms AS idleTimeoutMs, s.context_floor_seq AS contextFloorSeq, s.log_bytes AS logBytes,
  s.compacted_seq AS compactedSeq, s.searched_seq AS searchedSeq, s.index_seq AS indexSeq,
  s.forked_from_session_id AS forkedFromSessionId, s.forked_at_seq AS forkedAtSeq, s.trimmed_at_ms AS trimmedAtMs`;

const selectSession = `SELECT ${sessionColumns} FROM sessions s JOIN tenants t USING (tenant_no)`;

/** Makes a session of what `sessionColumns` selected. */
export function toStoredSession(columns: unknown): StoredSession {
  const { sessionNo, tenantNo, labels, ...row } = columns as SessionColumns;
  return { sessionNo, tenantNo, row: { ...row, labels: JSON.parse(labels) as Record<string, string> } };
}

export class SessionRows {
  private readonly selectById: StatementSync;
  private readonly selectByKey: StatementSync;
  private readonly selectByNo: StatementSync;
  private readonly selectChildren: StatementSync;
  private readonly insertRow: StatementSync;
  private readonly updateRow: StatementSync;
  private readonly deleteRow: StatementSync;
  private readonly countAll: StatementSync;
  private readonly countChanged: StatementSync;

  constructor(database: DatabaseSync) {
    this.selectById = database.prepare(`${selectSession} WHERE s.tenant_no = ? AND s.session_id = ?`);
    this.selectByKey = database.prepare(
      `${selectSession} WHERE s.tenant_no = ? AND s.session_key = ? AND s.session_key <> ''`,
    );
    this.selectByNo = database.prepare(`${selectSession} WHERE s.session_no = ?`);
    this.selectChildren = database.prepare(`${selectSession} WHERE s.tenant_no = ? AND s.parent_session_id = ?
      AND s.parent_session_id <> '' ORDER BY s.session_no LIMIT ?`);
    this.insertRow = database.prepare(`INSERT INTO sessions (tenant_no, session_id, session_key, agent_id, state, title,
      labels, log_id, head_seq, oldest_seq, active_run_id, queued_runs, parent_session_id, created_by, created_at_ms,
      updated_at_ms, last_message_at_ms, message_count, profile, forked_from_session_id, forked_at_seq)
      VALUES (?, ?, ?, ?, 'created', ?, ?, ?, 0, 0, '', 0, ?, ?, ?, ?, 0, 0, ?, ?, ?)`);
    this.updateRow = database.prepare(`UPDATE sessions SET state = ?, head_seq = ?, oldest_seq = ?, active_run_id = ?,
      queued_runs = ?, updated_at_ms = ?, last_message_at_ms = ?, message_count = ?, title = ?, labels = ?, profile = ?,
      idle_timeout_ms = ?, context_floor_seq = ?, log_bytes = ?, compacted_seq = ?, searched_seq = ?, index_seq = ?,
      log_id = ?, trimmed_at_ms = ? WHERE session_no = ?`);
    this.deleteRow = database.prepare("DELETE FROM sessions WHERE session_no = ?");
    this.countAll = database.prepare("SELECT count(*) AS count FROM sessions WHERE tenant_no = ?");
    this.countChanged = database.prepare(
      "SELECT count(*) AS count FROM sessions WHERE tenant_no = ? AND updated_at_ms >= ?",
    );
  }

  findById(tenantNo: number, sessionId: string): StoredSession | undefined {
    const columns = this.selectById.get(tenantNo, sessionId);
    return columns === undefined ? undefined : toStoredSession(columns);
  }

  /** The empty key belongs to nobody. */
  findByKey(tenantNo: number, key: string): StoredSession | undefined {
    const columns = this.selectByKey.get(tenantNo, key);
    return columns === undefined ? undefined : toStoredSession(columns);
  }

  /** The sessions that a session has started, oldest first. */
  listChildren(tenantNo: number, parentSessionId: string, limit: number): StoredSession[] {
    return this.selectChildren.all(tenantNo, parentSessionId, limit).map(toStoredSession);
  }

  /** The session of a row that names it; it is there, because nothing removes sessions alone. */
  get(sessionNo: number): StoredSession {
    return toStoredSession(this.selectByNo.get(sessionNo));
  }

  insert(
    tenantNo: number,
    session: NewSession & Partial<Pick<SessionRow, "forkedFromSessionId" | "forkedAtSeq">>,
    createdBy: string,
    nowMs: number,
  ): StoredSession {
    const { lastInsertRowid } = this.insertRow.run(
      tenantNo,
      session.sessionId,
      session.key,
      session.agentId,
      session.title,
      JSON.stringify(session.labels),
      session.logId,
      session.parentSessionId,
      createdBy,
      nowMs,
      nowMs,
      session.profile,
      session.forkedFromSessionId ?? "",
      session.forkedAtSeq ?? 0,
    );
    return this.get(Number(lastInsertRowid));
  }

  /** The last part of a session; its runs and its log are gone already. */
  remove({ sessionNo }: StoredSession): void {
    this.deleteRow.run(sessionNo);
  }

  count(tenantNo: number, activeSinceMs: number): SessionCounts {
    const total = Number(this.countAll.get(tenantNo)?.count);
    const active = Number(this.countChanged.get(tenantNo, activeSinceMs)?.count);
    return { total, active };
  }

  /** Writes what changes in a session's life. */
  save({ sessionNo, row }: StoredSession): void {
    this.updateRow.run(
      row.state,
      row.headSeq,
      row.oldestSeq,
      row.activeRunId,
      row.queuedRuns,
      row.updatedAtMs,
      row.lastMessageAtMs,
      row.messageCount,
      row.title,
      JSON.stringify(row.labels),
      row.profile,
      row.idleTimeoutMs,
      row.contextFloorSeq,
      row.logBytes,
      row.compactedSeq,
      row.searchedSeq,
      row.indexSeq,
      row.logId,
      row.trimmedAtMs,
      sessionNo,
    );
  }
}
