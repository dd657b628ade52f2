/**
 * Makes sessions idle in which nothing happened for a while.
 *
 * Keeps: whether a session is due is asked inside the transaction that changes it, so that two sweeps at once do it
 * once. Keeps L7: one change takes a bounded number of sessions.
 */
import type { Appended } from "../../../../kernel/event/appended.ts";
import type { SessionStore } from "../../session-store.ts";
import type { SessionTables } from "../session-tables.ts";

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
