/** Makes messages and answers searchable by their words, a bounded number of events at a time. */
import type { BackgroundJob } from "../background-job.ts";
import type { SessionDeps } from "../session-deps.ts";

/** A few milliseconds of one core. */
const eventsAtOnce = 250;
const bytesAtOnce = 131_072;
const intervalMs = 1_000;
const moreMs = 10;

export function indexMessages({ store, log }: Pick<SessionDeps, "store" | "log">): BackgroundJob {
  return {
    name: "index messages",
    intervalMs,
    moreMs,
    async round() {
      const { damaged, ...done } = await store.indexMessages({ maxEvents: eventsAtOnce, maxBytes: bytesAtOnce });
      for (const { sessionId, seq, message } of damaged) {
        log.error({ sessionId, seq, damage: message }, "what is damaged can't be found by its words");
      }
      if (done.documents > 0) log.debug({ ...done }, "messages indexed");
      return done.more ? "more" : "done";
    },
  };
}
