/** From the wall clock of events, which the nemesis moves, to the clock of the faults, which nobody can. */
import type { FaultRecord } from "../history.ts";

/** How far an event's time may lie outside of the span in which the clock stood as it says. */
const slackMs = 1_000;

/**
 * `wallOffsetMs`: the wall clock less the clock of the faults, when nobody has moved it. `endMs`: when the run was over.
 * NaN for a time that the clock never showed. Jumps must be larger than the run is long, or a time may be of two moments
 * (nemesis.ts).
 */
export function wallReader(
  faults: readonly FaultRecord[],
  wallOffsetMs: number,
  endMs: number,
): (wallMs: number) => number {
  const jumps = faults.filter((fault) => fault.kind === "clock");
  const spans = [{ aheadMs: 0, atMs: Number.NEGATIVE_INFINITY }, ...jumps].map(({ aheadMs, atMs }, index) => ({
    aheadMs,
    fromMs: atMs - slackMs,
    toMs: (jumps[index]?.atMs ?? endMs) + slackMs,
  }));
  return (wallMs) => {
    for (const { aheadMs, fromMs, toMs } of spans.toReversed()) {
      const atMs = wallMs - wallOffsetMs - aheadMs;
      if (atMs >= fromMs && atMs <= toMs) return atMs;
    }
    return Number.NaN;
  };
}
