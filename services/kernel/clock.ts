/**
 * Time as a port, so that everything that waits or stamps can be handed another clock.
 *
 * Keeps L7: a wait is finite, abortable, and never longer than what the platform's timers can hold.
 */
import { performance } from "node:perf_hooks";

/** The longest wait in milliseconds (24.8 days): Node fires a longer timer at once, so that a longer one is cut to this. */
export const longestWaitMs = 2_147_483_647;

/** A timer that can be stopped; cancelling one that fired or was cancelled does nothing. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall-clock time in whole milliseconds since 1970. It may jump, also backwards: never measure with it. */
  nowMs(): number;
  /** Milliseconds since some moment, with a fraction; never goes backwards. Leases and timeouts are measured with it. */
  monotonicMs(): number;
  /** Resolves after `ms`, as `setTimer` has it; rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /**
   * Calls `fn` once after `ms`, at most after `longestWaitMs`. Throws RangeError when `ms` is negative or no number. The timer
   * keeps the process alive.
   */
  setTimer(ms: number, fn: () => void): Timer;
}

/** The machine's clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) => sleepWith(systemClock, ms, signal),
  setTimer(ms, fn) {
    if (!(ms >= 0)) throw new RangeError(`a wait must be 0 ms or more, not ${ms}`);
    const timeout = setTimeout(fn, Math.min(ms, longestWaitMs));
    return { cancel: () => clearTimeout(timeout) };
  },
};

async function sleepWith(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stop = (): void => reject(signal?.reason);
  const timer = clock.setTimer(ms, resolve);
  signal?.addEventListener("abort", stop, { once: true });
  try {
    await promise;
  } finally {
    timer.cancel();
    signal?.removeEventListener("abort", stop);
  }
}
