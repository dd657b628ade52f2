/** Finds sessions in which nothing happened for a while. Keeps L7: through an index that holds only candidates. */
import type { DatabaseSync, StatementSync } from "node:sqlite";

export class IdleSessions {
  private readonly selectDue: StatementSync;

  constructor(database: DatabaseSync) {
    // The index splits the sessions into the ones without a timeout of their own (0) and the others (1).
    this.selectDue = database.prepare(`SELECT session_no AS sessionNo FROM sessions INDEXED BY sessions_silent
      WHERE state = 'active' AND active_run_id = '' AND queued_runs = 0
        AND (idle_timeout_ms > 0) = ? AND updated_at_ms + idle_timeout_ms <= ?
      ORDER BY updated_at_ms + idle_timeout_ms LIMIT ?`);
  }

  /** The numbers of sessions that are due, the longest silent first. */
  listDue(defaultTimeoutMs: number, nowMs: number, limit: number): number[] {
    const byDefault = this.selectDue.all(0, nowMs - defaultTimeoutMs, limit);
    const byOwn = this.selectDue.all(1, nowMs, limit - byDefault.length);
    return [...byDefault, ...byOwn].map(({ sessionNo }) => Number(sessionNo));
  }
}
