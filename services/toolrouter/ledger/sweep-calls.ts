/** Keeps the ledger bounded (L7): finished calls and tombstones are forgotten after 7 days, looked for every hour. */
import type { Clock, Timer } from "../../kernel/clock.ts";
import type { Log } from "../../kernel/log.ts";
import type { CallLedger } from "./call-ledger.ts";

const keptMs = 7 * 24 * 60 * 60_000;
const everyMs = 60 * 60_000;

export function sweepCallsEvery({
  ledger,
  log,
  clock,
}: {
  readonly ledger: CallLedger;
  readonly log: Log;
  readonly clock: Clock;
}): { stop(): void } {
  let timer: Timer;
  let stopped = false;
  const sweep = async (): Promise<void> => {
    try {
      const removed = await ledger.sweep(clock.nowMs() - keptMs);
      if (removed > 0) log.info({ removed }, "old tool calls were forgotten");
    } catch (error) {
      log.warn({ error }, "old tool calls can't be swept now; tried again in an hour");
    }
    if (!stopped) timer = clock.setTimer(everyMs, () => void sweep());
  };
  timer = clock.setTimer(everyMs, () => void sweep());
  return {
    stop() {
      stopped = true;
      timer.cancel();
    },
  };
}
