/** Forgets stored answers after their time (R1: at least 24 hours). */
import type { Timer } from "../kernel/clock.ts";
import type { SessionDeps } from "./session-deps.ts";

const keepMs = 7 * 24 * 3_600_000;
const intervalMs = 3_600_000;

export function sweepRequestsEvery(deps: Pick<SessionDeps, "store" | "clock" | "log">): () => void {
  let timer: Timer | undefined;
  const sweep = async (): Promise<void> => {
    try {
      const removed = await deps.store.sweepRequests(deps.clock.nowMs() - keepMs);
      if (removed > 0) deps.log.info({ removed }, "old answers removed");
    } catch (error) {
      deps.log.warn({ error: String(error) }, "removing old answers failed; tried again in an hour");
    }
  };
  const arm = (): void => {
    timer = deps.clock.setTimer(intervalMs, () => {
      void sweep();
      arm();
    });
  };
  arm();
  return () => timer?.cancel();
}
