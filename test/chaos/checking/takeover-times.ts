/**
 * How long runs were without a worker: from the moment that one was killed or frozen to the RunResumed of the next.
 *
 * A take-over counts when nothing else that it needs was struck meanwhile: the session service, the ways to it, or
 * another worker. Two faults at once are for the other checks.
 */
import type { AppliedEvent, FaultRecord } from "../history.ts";
import type { FinalLog } from "./read-logs.ts";

export interface TakeoverTimes {
  /** Milliseconds from the kill of the holder. */
  readonly killed: readonly number[];
  /** Milliseconds from the freezing of the holder. */
  readonly frozen: readonly number[];
}

/** How long after a fault of the session service a take-over is still its consequence. */
const afterEffectMs = 3_000;

type Struck = Extract<FaultRecord, { kind: "killed" | "frozen" }>;

/** `atMs`: from an event's wall clock to the clock of the faults (wall-times.ts). */
export function takeoverTimes(
  logs: Iterable<FinalLog>,
  faults: readonly FaultRecord[],
  atMs: (wallMs: number) => number,
): TakeoverTimes {
  const times = { killed: [] as number[], frozen: [] as number[] };
  const struck = faults.filter((fault): fault is Struck => fault.kind === "killed" || fault.kind === "frozen");
  for (const { events } of logs) {
    for (const [before, resumed] of changesOfHolder(events)) {
      const [heldMs, resumedMs] = [atMs(before.wallMs ?? 0), atMs(resumed.wallMs ?? 0)];
      const cause = struck.find(
        (fault) => fault.workerIds.includes(before.worker ?? "") && fault.atMs >= heldMs && fault.atMs <= resumedMs,
      );
      if (cause === undefined || isDisturbed(cause, resumedMs, faults)) continue;
      times[cause.kind].push(resumedMs - cause.atMs);
    }
  }
  return times;
}

/** Each RunResumed with the event under which the run was held before. */
export function* changesOfHolder(
  events: readonly AppliedEvent[],
): Generator<[before: AppliedEvent, resumed: AppliedEvent]> {
  const holders = new Map<string, AppliedEvent>();
  for (const event of events) {
    if (event.body !== "runStarted" && event.body !== "runResumed") continue;
    const before = holders.get(event.run);
    if (before !== undefined && event.body === "runResumed") yield [before, event];
    holders.set(event.run, event);
  }
}

function isDisturbed(cause: Struck, resumedMs: number, faults: readonly FaultRecord[]): boolean {
  if (cause.kind === "killed" && cause.services.length > 1) return true;
  return faults.some((fault) => {
    if (fault === cause || fault.atMs > resumedMs) return false;
    switch (fault.kind) {
      case "killed":
        return fault.atMs >= cause.atMs - afterEffectMs && fault.services.some(isNeeded);
      case "draining":
        return fault.atMs >= cause.atMs - afterEffectMs && isNeeded(fault.service);
      case "frozen":
        return fault.atMs + fault.forMs >= cause.atMs;
      case "cut":
        return fault.atMs >= cause.atMs && !fault.proxy.startsWith("gateway");
      case "dark":
      case "muted":
        return fault.atMs + fault.forMs >= cause.atMs && !fault.proxy.startsWith("gateway");
      default:
        return false;
    }
  });
}

const isNeeded = (service: string): boolean => service === "session" || service.startsWith("agent");
