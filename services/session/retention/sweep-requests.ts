/** Forgets stored answers after their time (R1: at least 24 hours). */
import type { BackgroundJob } from "../background-job.ts";
import type { SessionDeps } from "../session-deps.ts";

const keepMs = 7 * 24 * 3_600_000;
const intervalMs = 3_600_000;

export function sweepRequests({ store, clock, log }: Pick<SessionDeps, "store" | "clock" | "log">): BackgroundJob {
  return {
    name: "sweep requests",
    intervalMs,
    moreMs: intervalMs,
    async round() {
      const removed = await store.sweepRequests(clock.nowMs() - keepMs);
      if (removed > 0) log.info({ removed }, "old answers removed");
      return "done";
    },
  };
}
