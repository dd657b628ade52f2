/**
 * How many workers were frozen in the possession of a run that another one had taken over when they woke: each of them
 * wakes in mid-run and writes on, which the store must refuse (L4).
 *
 * Counts only what nothing else kept from writing: a worker that was killed before it could, or that lost its stream to
 * the session service meanwhile, is told what it lost before it writes.
 */
import type { FaultRecord } from "../history.ts";
import type { FinalLog } from "./read-logs.ts";
import { changesOfHolder } from "./takeover-times.ts";

/** How long after its waking a worker needs its stream and its life. */
const wakingMs = 1_000;

/** `atMs`: from an event's wall clock to the clock of the faults (wall-times.ts). */
export function countLateWriters(
  logs: Iterable<FinalLog>,
  faults: readonly FaultRecord[],
  atMs: (wallMs: number) => number,
): number {
  let count = 0;
  for (const { events } of logs) {
    for (const [before, resumed] of changesOfHolder(events)) {
      const [heldMs, resumedMs] = [atMs(before.wallMs ?? 0), atMs(resumed.wallMs ?? 0)];
      const frozen = faults.some(
        (fault) =>
          fault.kind === "frozen" &&
          fault.workerIds.includes(before.worker ?? "") &&
          heldMs <= fault.atMs &&
          resumedMs >= fault.atMs &&
          resumedMs <= fault.atMs + fault.forMs &&
          !faults.some((other) => keepsFromWriting(other, fault)),
      );
      if (frozen) count += 1;
    }
  }
  return count;
}

function keepsFromWriting(other: FaultRecord, frozen: Extract<FaultRecord, { kind: "frozen" }>): boolean {
  const wokenMs = frozen.atMs + frozen.forMs + wakingMs;
  const isNeeded = (service: string): boolean => service === frozen.service || service === "session";
  // Each worker has a proxy of its own to the session service.
  const isOnTheWay = (proxy: string): boolean => proxy === frozen.service.replace("agent-", "worker-");
  switch (other.kind) {
    case "killed":
      return other.services.some(isNeeded) && other.atMs >= frozen.atMs && other.atMs <= wokenMs;
    case "draining":
      return isNeeded(other.service) && other.atMs >= frozen.atMs && other.atMs <= wokenMs;
    case "cut":
      return isOnTheWay(other.proxy) && other.atMs >= frozen.atMs && other.atMs <= wokenMs;
    case "dark":
    case "muted":
      return isOnTheWay(other.proxy) && other.atMs + other.forMs >= frozen.atMs && other.atMs <= wokenMs;
    default:
      return false;
  }
}
