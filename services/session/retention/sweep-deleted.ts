/** Forgets deleted sessions after their time: who follows the index and was away for longer reads the list again (S5). */
import type { BackgroundJob } from "../background-job.ts";
import type { SessionDeps } from "../session-deps.ts";

const keepMs = 7 * 24 * 3_600_000;
const intervalMs = 3_600_000;

export function sweepDeleted({ store, clock, log }: Pick<SessionDeps, "store" | "clock" | "log">): BackgroundJob {
  return {
    name: "sweep deleted sessions",
    intervalMs,
    moreMs: intervalMs,
    async round() {
      const removed = await store.sweepDeletedSessions(clock.nowMs() - keepMs);
      if (removed > 0) log.info({ removed }, "old deletions removed from the index");
      return "done";
    },
  };
}
