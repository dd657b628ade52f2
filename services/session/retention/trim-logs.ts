/**
 * Retention: removes what is older, more or larger than the settings keep of each log, a bounded piece at a time.
 *
 * Keeps L9: what was removed of a session is a log line, and readers see a HistoryTrimmed in its place (S5). So is a log
 * that is damaged, each time that trimming comes to it.
 */
import type { BackgroundJob } from "../background-job.ts";
import type { SessionDeps } from "../session-deps.ts";

const dayMs = 86_400_000;
const sessionsAtOnce = 500;
/** A few milliseconds of one core. */
const rowsAtOnce = 64;
const intervalMs = 10_000;
const moreMs = 20;

/** Goes through all sessions, then waits for the next interval. Nothing to do when the settings keep everything. */
export function trimLogs({
  store,
  clock,
  log,
  settings: { retentionDays, maxLogEvents, maxLogBytes },
}: Pick<SessionDeps, "store" | "clock" | "log" | "settings">): BackgroundJob {
  const keepsAll = retentionDays === 0 && maxLogEvents === 0 && maxLogBytes === 0;
  let cursor = "";
  return {
    name: "trim logs",
    intervalMs,
    moreMs,
    async round() {
      if (keepsAll) return "done";
      const keepFromMs = retentionDays === 0 ? 0 : clock.nowMs() - retentionDays * dayMs;
      const bounds = { keepFromMs, maxEvents: maxLogEvents, maxBytes: maxLogBytes };
      const done = await store.trimLogs({ bounds, cursor, maxSessions: sessionsAtOnce, maxRows: rowsAtOnce });
      ({ cursor } = done);
      for (const { sessionId, seq, message } of done.damaged) {
        log.error({ sessionId, seq, damage: message }, "what is damaged, and what is behind it, can't be trimmed");
      }
      for (const trimmed of done.trimmed) log.info({ ...trimmed }, "history trimmed");
      return cursor === "" ? "done" : "more";
    },
  };
}
