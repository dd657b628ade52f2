/**
 * A tenant's index feed: the sessions by the place of their last change, and what is left of deleted ones.
 *
 * Keeps: places rise and are never given twice. The next one is known in memory, because one process writes the file, so an
 * append costs no statement for it; it is read again after a start and after a rollback. A tombstone that is swept leaves
 * its place behind as the floor: who stands before it may have missed a deletion. Keeps L7: tombstones have a time, and
 * one sweep removes a bounded number.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { IndexEntry, IndexPlace } from "../../rows.ts";
import { type StoredSession, selectSessions, toStoredSession } from "../life/session-columns.ts";

const maxRememberedTenants = 10_000;
/** How many tombstones one sweep transaction removes, so that it never holds the event loop for long. */
const maxSweptAtOnce = 5_000;

export class IndexRows {
  private readonly selectHead: StatementSync;
  private readonly selectPlace: StatementSync;
  private readonly selectSessions: StatementSync;
  private readonly selectDeleted: StatementSync;
  private readonly insertDeleted: StatementSync;
  private readonly sweepDeleted: StatementSync;
  private readonly raiseFloor: StatementSync;
  private readonly heads = new Map<number, number>();
  private hasChanged = false;

  constructor(database: DatabaseSync) {
    this.selectHead = database.prepare(`SELECT max(
      (SELECT index_floor FROM tenants WHERE tenant_no = :tenantNo),
      (SELECT coalesce(max(index_seq), 0) FROM sessions WHERE tenant_no = :tenantNo),
      (SELECT coalesce(max(index_seq), 0) FROM deleted_sessions WHERE tenant_no = :tenantNo)) AS head`);
    this.selectPlace = database.prepare(
      "SELECT index_id AS feedId, index_floor + 1 AS oldestSeq FROM tenants WHERE tenant_no = ?",
    );
    this.selectSessions = selectSessions(
      database,
      "WHERE s.tenant_no = ? AND s.index_seq > ? ORDER BY s.index_seq LIMIT ?",
    );
    this.selectDeleted = database.prepare(`SELECT index_seq AS seq, session_id AS sessionId FROM deleted_sessions
      WHERE tenant_no = ? AND index_seq > ? ORDER BY index_seq LIMIT ?`);
    this.insertDeleted = database.prepare("INSERT INTO deleted_sessions VALUES (?, ?, ?, ?)");
    this.sweepDeleted = database.prepare(`DELETE FROM deleted_sessions WHERE (tenant_no, index_seq) IN (
        SELECT tenant_no, index_seq FROM deleted_sessions WHERE deleted_at_ms < ? ORDER BY deleted_at_ms LIMIT ?)
      RETURNING tenant_no AS tenantNo, index_seq AS seq`);
    this.raiseFloor = database.prepare("UPDATE tenants SET index_floor = max(index_floor, ?) WHERE tenant_no = ?");
  }

  /** The next place in the tenant's feed. Inside a transaction only. */
  next(tenantNo: number): number {
    const seq = this.headOf(tenantNo) + 1;
    this.heads.set(tenantNo, seq);
    this.hasChanged = true;
    return seq;
  }

  /** To be called after a rollback, which took places back. */
  forget(): void {
    this.heads.clear();
  }

  /** Where the feed stands. */
  placeOf(tenantNo: number): IndexPlace {
    const { feedId, oldestSeq } = this.selectPlace.get(tenantNo) as unknown as Omit<IndexPlace, "headSeq">;
    return { feedId, oldestSeq, headSeq: this.headOf(tenantNo) };
  }

  /** Entries after a place, in order; a session stands where it changed last. */
  read(tenantNo: number, afterSeq: number, limit: number): IndexEntry[] {
    const sessions = this.selectSessions.all(tenantNo, afterSeq, limit).map((columns): IndexEntry => {
      const { row } = toStoredSession(columns);
      return { kind: "session", seq: row.indexSeq, session: row };
    });
    const deleted = this.selectDeleted.all(tenantNo, afterSeq, limit).map((columns): IndexEntry => {
      const { seq, sessionId } = columns as { seq: number; sessionId: string };
      return { kind: "deleted", seq, sessionId };
    });
    return [...sessions, ...deleted].sort((one, other) => one.seq - other.seq).slice(0, limit);
  }

  /** Leaves a tombstone in the place of a session that is removed. */
  bury({ tenantNo, row }: StoredSession, nowMs: number): void {
    this.insertDeleted.run(tenantNo, this.next(tenantNo), row.sessionId, nowMs);
  }

  /** Removes some of the tombstones that are older than `beforeMs`; `more` when others may be left. */
  sweep(beforeMs: number): { readonly removed: number; readonly more: boolean } {
    const swept = this.sweepDeleted.all(beforeMs, maxSweptAtOnce) as unknown as { tenantNo: number; seq: number }[];
    const floors = new Map<number, number>();
    for (const { tenantNo, seq } of swept) floors.set(tenantNo, Math.max(seq, floors.get(tenantNo) ?? 0));
    for (const [tenantNo, floor] of floors) this.raiseFloor.run(floor, tenantNo);
    return { removed: swept.length, more: swept.length === maxSweptAtOnce };
  }

  /** Whether places were given since it was last asked. */
  takeChanged(): boolean {
    const { hasChanged } = this;
    this.hasChanged = false;
    return hasChanged;
  }

  /** The newest place that was given; 0 when none was. */
  headOf(tenantNo: number): number {
    const known = this.heads.get(tenantNo);
    if (known !== undefined) return known;
    const head = Number(this.selectHead.get({ tenantNo })?.head);
    if (this.heads.size >= maxRememberedTenants) this.heads.clear();
    this.heads.set(tenantNo, head);
    return head;
  }
}
