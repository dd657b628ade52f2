/**
 * Keeps L4 and R2: when a run may be taken from its holder, and what becomes of it then. Pure: `nowMs` is the deciding
 * instance's own monotonic clock. What is decided here can only be late or early, never wrong: the store compares the
 * epoch.
 */

export interface LeaseTimes {
  /** A holder that is silent for so long has lost the run. */
  readonly leaseTtlMs: number;
  /** How long it may take to come back after its stream broke. */
  readonly reattachGraceMs: number;
}

/** When the lease was heard of last, as far as time matters. */
export type LeaseClock =
  | { readonly kind: "held"; readonly renewedAtMs: number }
  /** The stream broke, or this instance has just started. */
  | { readonly kind: "detached"; readonly sinceMs: number }
  /** Time is up: it waits for a worker with capacity. */
  | { readonly kind: "orphaned" };

/** Whether the run may be taken away from its holder now. */
export function isExpired(lease: LeaseClock, nowMs: number, times: LeaseTimes): boolean {
  switch (lease.kind) {
    case "held":
      return nowMs - lease.renewedAtMs >= times.leaseTtlMs;
    case "detached":
      return nowMs - lease.sinceMs >= times.reattachGraceMs;
    case "orphaned":
      return true;
  }
}

/** What becomes of a run whose holder is gone: another attempt, or an end that the service writes itself. */
export function judgeOrphan(
  lease: { readonly isCancelled: boolean; readonly attempt: number },
  maxAttempts: number,
): "take-over" | "finish" {
  return lease.isCancelled || lease.attempt >= maxAttempts ? "finish" : "take-over";
}

/** Whether what a worker says it holds is its to hold. */
export function holdsLease(
  lease: { readonly epoch: number } | undefined,
  held: { readonly epoch: number },
): lease is { readonly epoch: number } {
  return lease !== undefined && lease.epoch === held.epoch;
}
