/**
 * Makes sessions idle in which nothing happened for a while.
 *
 * Keeps: whether a session is due is asked inside the transaction that changes it, so that two sweeps at once do it
 * once. Keeps L7: one change takes a bounded number of sessions, found through an index that holds only candidates.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Appended } from "../../../../kernel/event/appended.ts";
import type { SessionStore } from "../../session-store.ts";
import type { SessionTables } from "../session-tables.ts";

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

/** See SessionStore.sweepIdle. */
export function sweepIdle(
  { sessions, events, idle }: SessionTables,
  { defaultTimeoutMs, limit, event }: Parameters<SessionStore["sweepIdle"]>[0],
  nowMs: number,
): Appended[] {
  return idle.listDue(defaultTimeoutMs, nowMs, limit).map((sessionNo) => {
    const session = sessions.get(sessionNo);
    const [grown, appended] = events.append(session, [event()], nowMs);
    sessions.save({ ...grown, row: { ...grown.row, state: "idle", updatedAtMs: session.row.updatedAtMs } });
    return appended;
  });
}
