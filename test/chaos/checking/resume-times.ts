/**
 * How long readers waited for the next frame from the moment that a service was back.
 *
 * A return counts when nothing else on the readers' way was down, cut, dark or mute then or in the second after: several
 * faults at once are for the other checks.
 */
import type { FaultRecord } from "../history.ts";

const settleMs = 1_000;

interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** `framesAtMs` of each reader in order. */
export function resumeTimes(faults: readonly FaultRecord[], readers: readonly (readonly number[])[]): number[] {
  const spans = troubleOf(faults);
  return faults.flatMap((fault) => {
    if (fault.kind !== "ready" || !isOnTheWay(fault.service)) return [];
    const { atMs } = fault;
    if (spans.some(({ fromMs, toMs }) => fromMs <= atMs + settleMs && toMs > atMs)) return [];
    return readers.flatMap((framesAtMs) => {
      const next = firstAfter(framesAtMs, atMs);
      return next === undefined ? [] : [next - atMs];
    });
  });
}

/** When something that readers need was away. */
function troubleOf(faults: readonly FaultRecord[]): Span[] {
  return faults.flatMap((fault): Span[] => {
    switch (fault.kind) {
      case "killed":
      case "draining":
        return (fault.kind === "killed" ? fault.services : [fault.service]).filter(isOnTheWay).map((service) => {
          const back = faults.find(
            (each) => each.kind === "ready" && each.service === service && each.atMs > fault.atMs,
          );
          return { fromMs: fault.atMs, toMs: back?.atMs ?? Number.POSITIVE_INFINITY };
        });
      case "cut":
        return isOnTheWay(fault.proxy) ? [{ fromMs: fault.atMs, toMs: fault.atMs + settleMs }] : [];
      case "dark":
      case "muted":
        return isOnTheWay(fault.proxy) ? [{ fromMs: fault.atMs, toMs: fault.atMs + fault.forMs + settleMs }] : [];
      default:
        return [];
    }
  });
}

/** The services that a reader's stream runs through, and the proxies in front of them. */
function isOnTheWay(name: string): boolean {
  return name === "session" || name.startsWith("gateway");
}

function firstAfter(times: readonly number[], atMs: number): number | undefined {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) < atMs) low = middle + 1;
    else high = middle;
  }
  return times[low];
}
