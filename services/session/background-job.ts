/**
 * Work that the service does beside its calls: sweeps, compaction.
 *
 * Keeps L7: one round at a time, each followed by a wait. Keeps L9: a round that fails is logged and tried again.
 */
import type { Timer } from "../kernel/clock.ts";
import type { SessionDeps } from "./session-deps.ts";

export interface BackgroundJob {
  /** For the log. */
  readonly name: string;
  /** Milliseconds from the end of a round to the next one. */
  readonly intervalMs: number;
  /** The same after a round that left work; gives calls their turn. */
  readonly moreMs: number;
  /** One round, short enough to stand between two calls; says whether there is more to do at once. */
  readonly round: () => Promise<"more" | "done">;
}

/** The first round begins after `intervalMs`. Returns the function that ends the job. */
export function startJob({ clock, log }: Pick<SessionDeps, "clock" | "log">, job: BackgroundJob): () => void {
  let timer: Timer | undefined;
  let stopped = false;
  const work = async (): Promise<void> => {
    let left: "more" | "done" = "done";
    try {
      left = await job.round();
    } catch (error) {
      if (!stopped) log.warn({ job: job.name, error: String(error) }, "a background job failed; it is tried again");
    }
    if (!stopped) arm(left === "more" ? job.moreMs : job.intervalMs);
  };
  const arm = (waitMs: number): void => {
    timer = clock.setTimer(waitMs, () => void work());
  };
  arm(job.intervalMs);
  return () => {
    stopped = true;
    timer?.cancel();
  };
}
