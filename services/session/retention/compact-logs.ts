/** Merges what the heads of the logs have left behind (S3), a few windows at a time, so that no call waits for long. */
import type { BackgroundJob } from "../background-job.ts";
import type { SessionDeps } from "../session-deps.ts";

/** About 5 ms of one core. */
const windowsAtOnce = 4;
const intervalMs = 1_000;
/** With `windowsAtOnce` 400 windows, 100 000 events, a second at the most. */
const moreMs = 10;

export function compactLogs({ store, log }: Pick<SessionDeps, "store" | "log">): BackgroundJob {
  return {
    name: "compact logs",
    intervalMs,
    moreMs,
    async round() {
      const { damaged, ...done } = await store.compactLogs({ maxWindows: windowsAtOnce });
      if (done.windows > 0) log.debug({ ...done }, "logs compacted");
      for (const { sessionId, seq, message } of damaged) {
        log.error({ sessionId, seq, damage: message }, "a log is damaged: stop the mesh and run `atoll doctor`");
      }
      return done.windows < windowsAtOnce ? "done" : "more";
    },
  };
}
