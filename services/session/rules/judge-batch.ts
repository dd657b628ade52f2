/**
 * Keeps L4: whether a worker's batch is appended, answered again or refused. Pure; every driver asks it inside the
 * transaction of the append.
 */
import type { RunState } from "../store/rows.ts";

/** The run as it is stored. */
export interface BatchTarget {
  readonly state: RunState;
  /** 0 until a worker took it. */
  readonly epoch: number;
  /** The last batch of this epoch that was committed; 0 when none was. */
  readonly batchNo: number;
}

export type BatchVerdict =
  | { readonly kind: "append" }
  /** It is the last committed batch: its first answer is given again. */
  | { readonly kind: "replayed" }
  | { readonly kind: "fenced"; readonly epoch: number }
  | { readonly kind: "finished" }
  | { readonly kind: "out-of-order"; readonly expectedBatchNo: number };

export function judgeBatch(
  run: BatchTarget,
  batch: { readonly epoch: number; readonly batchNo: number },
): BatchVerdict {
  // A run that nobody took has epoch 0, which no worker holds.
  if (batch.epoch !== run.epoch || run.epoch === 0) return { kind: "fenced", epoch: run.epoch };
  // Before the state: the batch that ended the run may be sent again, too.
  if (batch.batchNo === run.batchNo && batch.batchNo > 0) return { kind: "replayed" };
  if (run.state === "finished") return { kind: "finished" };
  const expectedBatchNo = run.batchNo + 1;
  return batch.batchNo === expectedBatchNo ? { kind: "append" } : { kind: "out-of-order", expectedBatchNo };
}
