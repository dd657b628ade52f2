/**
 * Makes sessions idle in which nothing happened for their idle timeout; their next message makes them active again.
 *
 * Several instances may do it at once: the store asks inside its transaction whether a session is due.
 */

import { SessionState } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import { encodeEvent } from "../../kernel/event/encode-event.ts";
import type { BackgroundJob } from "../background-job.ts";
import type { SessionDeps } from "../session-deps.ts";

const sessionsAtOnce = 64;
const longestIntervalMs = 30_000;
const shortestIntervalMs = 50;
const moreMs = 20;

export function sweepIdle({
  store,
  bus,
  log,
  settings,
}: Pick<SessionDeps, "store" | "bus" | "log" | "settings">): BackgroundJob {
  const defaultTimeoutMs = settings.idleTimeoutMs;
  const value = { fields: ["state"], state: SessionState.IDLE, changedBy: "mesh" };
  return {
    name: "sweep idle sessions",
    intervalMs: Math.min(longestIntervalMs, Math.max(shortestIntervalMs, defaultTimeoutMs / 4)),
    moreMs,
    async round() {
      const swept = await store.sweepIdle({
        defaultTimeoutMs,
        limit: sessionsAtOnce,
        event: () => encodeEvent({ body: { case: "sessionUpdated", value } }),
      });
      for (const appended of swept) bus.publish(appended);
      if (swept.length > 0) log.debug({ sessions: swept.length }, "sessions are idle");
      return swept.length < sessionsAtOnce ? "done" : "more";
    },
  };
}
