/** Waiting between tries. Keeps L7: full jitter, at least 0 and at most 10 s (source: AWS, "Exponential Backoff And Jitter"). */

const firstCapMs = 100;
const lastCapMs = 10_000;

/** How long to wait before the next try: evenly random below a cap that doubles with every failure, 100 ms–10 s. */
export function backoffMs(failures: number, random: () => number = Math.random): number {
  const cap = Math.min(lastCapMs, firstCapMs * 2 ** Math.max(0, failures - 1));
  return Math.round(random() * cap);
}

/** Ends after `delayMs`, or as soon as the signal is aborted; never throws. */
export function waitFor(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, delayMs);
    signal?.addEventListener("abort", end);
  });
}
