/**
 * The changes in a run's life, as pure functions of its stored part; a driver stores what they return.
 *
 * Keeps L4 (every taking has an epoch of its own and counts its batches from 1), R2 (a run that ended never changes
 * again) and R4 (a taken-over run keeps its id).
 */
import type { RunState } from "../store/rows.ts";

/** The part of a run that its life changes. */
export interface RunLife {
  readonly state: RunState;
  readonly status: number;
  readonly failure: Uint8Array;
  readonly epoch: number;
  readonly attempt: number;
  readonly batchNo: number;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  readonly finishedSeq: number;
  readonly cancelledBy: string;
  readonly cancelReason: string;
}

type Target = Pick<RunLife, "state" | "epoch">;

/** Whether a running run may be taken by who last saw it under `epoch`. */
export function mayTakeOver(run: Target, epoch: number): boolean {
  return run.state === "running" && run.epoch === epoch;
}

/** Whether a run may be ended over its worker's head by who last saw it under `epoch`. */
export function maySeize(run: Target, epoch: number): boolean {
  return run.state !== "finished" && run.epoch === epoch;
}

/** A worker has it: by a claim or by a take-over. */
export function takenRun<Run extends RunLife>(run: Run, nowMs: number): Run {
  return {
    ...run,
    state: "running",
    epoch: run.epoch + 1,
    attempt: run.attempt + 1,
    batchNo: 0,
    startedAtMs: run.startedAtMs || nowMs,
  };
}

/** The service has it, so that its worker is refused from now on. */
export function seizedRun<Run extends RunLife>(run: Run): Run {
  return { ...run, epoch: run.epoch + 1, batchNo: 0 };
}

export function endedRun<Run extends RunLife>(
  run: Run,
  ending: { readonly status: number; readonly failure: Uint8Array },
  finishedSeq: number,
  nowMs: number,
): Run {
  return {
    ...run,
    state: "finished",
    status: ending.status,
    failure: ending.failure,
    finishedAtMs: nowMs,
    finishedSeq,
  };
}

/** Somebody asked for it to stop. The first wish stands: its principal is the one that the terminal event names. */
export function cancelledRun<Run extends RunLife>(run: Run, by: string, reason: string): Run {
  return run.cancelledBy === "" ? { ...run, cancelledBy: by, cancelReason: reason } : run;
}
