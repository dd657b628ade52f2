/** Keeps R3: the one order in which waiting runs are taken: urgent first, then as they arrived. Pure. */

/** A run that waits. */
export interface WaitingRun {
  /** 1 low – 4 urgent. */
  readonly priority: number;
  /** A number that rises with every run that is queued. */
  readonly arrival: number;
}

/** Negative when `run` is taken before `other`. */
export function compareRuns(run: WaitingRun, other: WaitingRun): number {
  return other.priority - run.priority || run.arrival - other.arrival;
}

/** The same order as an SQL clause over two columns. */
export function orderClause(priority: string, arrival: string): string {
  return `${priority} DESC, ${arrival}`;
}

/** How many runs of its session are before one that is queued now: the active one, and who is at least as urgent. */
export function positionOf(waitingAhead: number, hasActiveRun: boolean): number {
  return waitingAhead + (hasActiveRun ? 1 : 0);
}
