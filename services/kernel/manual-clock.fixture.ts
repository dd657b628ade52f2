/** A clock that stands still until a test moves it; its timers fire when it passes them. */
import type { Clock } from "./clock.ts";

export interface ManualClock extends Clock {
  /** Moves both times and fires what is due, in order. */
  advance(ms: number): void;
  /** Sets the wall clock alone, as a person or NTP does. */
  jump(ms: number): void;
}

export function manualClock(startMs = 1_800_000_000_000): ManualClock {
  let wallMs = startMs;
  let monotonicMs = 0;
  const timers = new Set<{ readonly atMs: number; readonly fn: () => void }>();
  const clock: ManualClock = {
    nowMs: () => wallMs,
    monotonicMs: () => monotonicMs,
    setTimer(ms, fn) {
      const timer = { atMs: monotonicMs + ms, fn };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
    sleep(ms, signal) {
      signal?.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const timer = clock.setTimer(ms, resolve);
      signal?.addEventListener(
        "abort",
        () => {
          timer.cancel();
          reject(signal.reason);
        },
        { once: true },
      );
      return promise;
    },
    advance(ms) {
      const untilMs = monotonicMs + ms;
      for (;;) {
        const due = [...timers].filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
        if (due === undefined) break;
        timers.delete(due);
        wallMs += due.atMs - monotonicMs;
        monotonicMs = due.atMs;
        due.fn();
      }
      wallMs += untilMs - monotonicMs;
      monotonicMs = untilMs;
    },
    jump(ms) {
      wallMs += ms;
    },
  };
  return clock;
}
