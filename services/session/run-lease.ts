/**
 * Who holds a run, and until when.
 *
 * Keeps L4: time gives liveness, the epoch safety. A lease ends on this instance's own monotonic clock: when its
 * renewals have stood still for the TTL, or when its stream broke and the worker did not come back within the grace.
 * What is decided here can only be late or early, never wrong: the store compares the epoch.
 */
import type { RunCommand } from "../../gen/atoll/session/v1/attach_pb.ts";

/** A worker's stream as the lease sees it. */
export interface LeaseHolder {
  readonly workerId: string;
  /** Tells the worker something; lost when the stream is gone. */
  readonly command: (command: RunCommand) => void;
}

export interface RunLease {
  readonly tenant: string;
  readonly sessionId: string;
  readonly runId: string;
  readonly agentId: string;
  readonly epoch: number;
  readonly attempt: number;
  /** Who asked for the run to stop; undefined when nobody did. */
  cancel: { readonly by: string; readonly reason: string } | undefined;
  /** Commands that are not followed by an event yet; repeated with every renewal. */
  readonly commands: RunCommand[];
  state: LeaseState;
}

export type LeaseState =
  | { readonly kind: "held"; readonly holder: LeaseHolder; readonly renewedAtMs: number }
  /** The stream broke, or this instance has just started. */
  | { readonly kind: "detached"; readonly sinceMs: number }
  /** Time is up: it waits for a worker with capacity. */
  | { readonly kind: "orphaned" };

export interface LeaseTimes {
  readonly leaseTtlMs: number;
  readonly reattachGraceMs: number;
}

/** Whether the run may be taken away from its holder now. */
export function isExpired(state: LeaseState, nowMs: number, times: LeaseTimes): boolean {
  switch (state.kind) {
    case "held":
      return nowMs - state.renewedAtMs >= times.leaseTtlMs;
    case "detached":
      return nowMs - state.sinceMs >= times.reattachGraceMs;
    case "orphaned":
      return true;
  }
}
