/**
 * Reads and writes rows of `sessions`.
 *
 * Keeps: a row is found only through its tenant, or by a number that was; whatever readers of a list may see of a session
 * is written by `insert`, `save` or `remove`, each of which takes the next place in the tenant's index feed.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { NewSession, SessionCounts } from "../../changes.ts";
import type { SessionRow } from "../../rows.ts";
import type { IndexRows } from "../finding/index-rows.ts";
import { LabelRows } from "./label-rows.ts";
import { SessionCache } from "./session-cache.ts";
import { type StoredSession, selectSessions, toStoredSession } from "./session-columns.ts";
import { areSamePlaces, placesOf, secondOf } from "./session-places.ts";

const maxCountedTenants = 10_000;

/** A child session, of which only its place in the family is asked. */
interface Child {
  readonly sessionId: string;
  /** 1 when it has children. */
  readonly isParent: 0 | 1;
}

export class SessionRows {
  private readonly selectById: StatementSync;
  private readonly selectByKey: StatementSync;
  private readonly selectByNo: StatementSync;
  private readonly selectWorkingChildren: StatementSync;
  private readonly selectChildren: StatementSync;
  private readonly insertRow: StatementSync;
  private readonly updateGrown: StatementSync;
  private readonly updateMoved: StatementSync;
  private readonly updateRest: StatementSync;
  private readonly updateUnseen: StatementSync;
  private readonly deleteRow: StatementSync;
  private readonly countAll: StatementSync;
  private readonly countChanged: StatementSync;
  private readonly labels: LabelRows;
  /** How many sessions a tenant has; counted when it is first asked for, and after a rollback. */
  private readonly counts = new Map<number, number>();

  private readonly index: IndexRows;
  private readonly known = new SessionCache();

  constructor(database: DatabaseSync, index: IndexRows) {
    this.index = index;
    this.selectById = selectSessions(database, "WHERE s.tenant_no = ? AND s.session_id = ?");
    this.selectByKey = selectSessions(database, "WHERE s.tenant_no = ? AND s.session_key = ? AND s.session_key <> ''");
    this.selectByNo = selectSessions(database, "WHERE s.session_no = ?");
    const child = "s.tenant_no = ? AND s.parent_session_id = ? AND s.parent_session_id <> ''";
    this.selectWorkingChildren = selectSessions(
      database,
      `WHERE ${child} AND (s.active_run_id <> '' OR s.queued_runs > 0) ORDER BY s.session_no DESC LIMIT ?`,
      "INDEXED BY sessions_at_work",
    );
    this.selectChildren = database.prepare(`SELECT s.session_id AS sessionId, EXISTS (
        SELECT 1 FROM sessions c INDEXED BY sessions_by_parent
        WHERE c.tenant_no = s.tenant_no AND c.parent_session_id = s.session_id AND c.parent_session_id <> '') AS isParent
      FROM sessions s INDEXED BY sessions_by_parent WHERE ${child} ORDER BY s.session_no DESC LIMIT ?`);
    this.insertRow = database.prepare(`INSERT INTO sessions (tenant_no, session_id, session_key, agent_id, state, title,
      labels, log_id, head_seq, oldest_seq, active_run_id, queued_runs, parent_session_id, created_by, created_at_ms,
      updated_at_ms, updated_second, last_message_at_ms, message_count, profile, forked_from_session_id, forked_at_seq,
      index_seq)
      VALUES (?, ?, ?, ?, 'created', ?, ?, ?, 0, 0, '', 0, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?)`);
    const grown = `state = ?, head_seq = ?, oldest_seq = ?, active_run_id = ?, queued_runs = ?, last_run_no = ?,
      updated_at_ms = ?, last_message_at_ms = ?, message_count = ?, log_bytes = ?, index_seq = ?`;
    this.updateGrown = database.prepare(`UPDATE sessions SET ${grown} WHERE session_no = ?`);
    this.updateMoved = database.prepare(
      `UPDATE sessions SET ${grown}, updated_second = ?, to_search = ?, to_compact = ? WHERE session_no = ?`,
    );
    this.updateRest = database.prepare(`UPDATE sessions SET title = ?, labels = ?, profile = ?, idle_timeout_ms = ?,
      context_floor_seq = ?, compacted_seq = ?, searched_seq = ?, log_id = ?, trimmed_at_ms = ?, resets_at_ms = ?
      WHERE session_no = ?`);
    this.updateUnseen = database.prepare(
      `UPDATE sessions SET compacted_seq = ?, log_bytes = ?, searched_seq = ?, to_search = ?, to_compact = ?
      WHERE session_no = ?`,
    );
    this.deleteRow = database.prepare("DELETE FROM sessions WHERE session_no = ?");
    this.countAll = database.prepare("SELECT count(*) AS count FROM sessions WHERE tenant_no = ?");
    // All but the rows of one second are counted in the index alone.
    this.countChanged = database.prepare(`SELECT
        (SELECT count(*) FROM sessions WHERE tenant_no = :tenantNo AND updated_second > :second) +
        (SELECT count(*) FROM sessions WHERE tenant_no = :tenantNo AND updated_second = :second AND updated_at_ms >= :atMs)
      AS count`);
    this.labels = new LabelRows(database);
  }

  /** To be called after a rollback, which took changes back. */
  forget(): void {
    this.known.forget();
    this.counts.clear();
  }

  findById(tenantNo: number, sessionId: string): StoredSession | undefined {
    const known = this.known.findById(tenantNo, sessionId);
    if (known !== undefined) return known;
    const columns = this.selectById.get(tenantNo, sessionId);
    return columns === undefined ? undefined : toStoredSession(columns);
  }

  /** The empty key belongs to nobody. */
  findByKey(tenantNo: number, key: string): StoredSession | undefined {
    const columns = this.selectByKey.get(tenantNo, key);
    return columns === undefined ? undefined : toStoredSession(columns);
  }

  /** The sessions that a session has started and that have a run which has not ended, newest first. */
  listWorkingChildren(tenantNo: number, parentSessionId: string, limit: number): StoredSession[] {
    return this.selectWorkingChildren.all(tenantNo, parentSessionId, limit).map(toStoredSession);
  }

  /** All sessions that a session has started, newest first, and whether they have started any. */
  listChildren(tenantNo: number, parentSessionId: string, limit: number): readonly Child[] {
    return this.selectChildren.all(tenantNo, parentSessionId, limit) as unknown as Child[];
  }

  /** The session of a row that names it; it is there, because nothing removes sessions alone. */
  get(sessionNo: number): StoredSession {
    return this.known.findByNo(sessionNo) ?? toStoredSession(this.selectByNo.get(sessionNo));
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
      secondOf(nowMs),
      session.profile,
      session.forkedFromSessionId ?? "",
      session.forkedAtSeq ?? 0,
      this.index.next(tenantNo),
    );
    const inserted = this.get(Number(lastInsertRowid));
    this.labels.replace(inserted, {});
    this.count(tenantNo, 1);
    return inserted;
  }

  /** The last part of a session; its runs and its log are gone already. */
  remove(session: StoredSession, nowMs: number): void {
    // First, because the place may be read from what is stored, and this session may have the newest.
    this.index.bury(session, nowMs);
    this.labels.remove(session);
    this.deleteRow.run(session.sessionNo);
    this.known.remove(session);
    this.count(session.tenantNo, -1);
  }

  countSessions(tenantNo: number, activeSinceMs: number): SessionCounts {
    const total = this.counts.get(tenantNo) ?? Number(this.countAll.get(tenantNo)?.count);
    if (this.counts.size >= maxCountedTenants) this.counts.clear();
    this.counts.set(tenantNo, total);
    const since = { tenantNo, second: secondOf(activeSinceMs), atMs: activeSinceMs };
    return { total, active: Number(this.countChanged.get(since)?.count) };
  }

  private count(tenantNo: number, more: number): void {
    const total = this.counts.get(tenantNo);
    if (total !== undefined) this.counts.set(tenantNo, total + more);
  }

  /** Writes how far compaction and search have come, of which no reader knows; the session keeps its place in the index. */
  saveUnseen(session: StoredSession): void {
    const { compactedSeq, logBytes, searchedSeq } = session.row;
    const row: SessionRow = { ...session.stored, compactedSeq, logBytes, searchedSeq };
    const { toSearch, toCompact } = placesOf(row);
    this.updateUnseen.run(compactedSeq, logBytes, searchedSeq, toSearch, toCompact, session.sessionNo);
    this.known.replace({ ...session, row, stored: row });
  }

  /** Writes what changes in a session's life; returns the session with its new place in the index. */
  save(session: StoredSession): StoredSession {
    const { sessionNo, tenantNo, lastRunNo, stored } = session;
    const row = { ...session.row, indexSeq: this.index.next(tenantNo) };
    const grown = [
      row.state,
      row.headSeq,
      row.oldestSeq,
      row.activeRunId,
      row.queuedRuns,
      lastRunNo,
      row.updatedAtMs,
      row.lastMessageAtMs,
      row.messageCount,
      row.logBytes,
      row.indexSeq,
    ];
    const places = placesOf(row);
    if (areSamePlaces(places, placesOf(stored))) this.updateGrown.run(...grown, sessionNo);
    else this.updateMoved.run(...grown, places.updatedSecond, places.toSearch, places.toCompact, sessionNo);
    // A statement of its own, because few changes have any of it, and it would cost each of them.
    if (seldomChanged.some((name) => row[name] !== stored[name])) {
      this.updateRest.run(
        row.title,
        JSON.stringify(row.labels),
        row.profile,
        row.idleTimeoutMs,
        row.contextFloorSeq,
        row.compactedSeq,
        row.searchedSeq,
        row.logId,
        row.trimmedAtMs,
        row.resetsAtMs.join(","),
        sessionNo,
      );
    }
    if (row.labels !== stored.labels) this.labels.replace(session, stored.labels);
    const saved: StoredSession = { ...session, row, stored: row };
    this.known.put(saved);
    return saved;
  }
}

/** The columns of `updateRest`. */
const seldomChanged = [
  "title",
  "labels",
  "profile",
  "idleTimeoutMs",
  "contextFloorSeq",
  "compactedSeq",
  "searchedSeq",
  "logId",
  "trimmedAtMs",
  "resetsAtMs",
] as const satisfies readonly (keyof SessionRow)[];
