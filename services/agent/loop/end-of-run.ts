/** What RunFinished says of a run that did not come to its end by itself. */
import { create } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { RunFailureSchema, type RunFinished, RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { ErrorReason, failureFacts } from "../../kernel/errors.ts";
import { cutText } from "../../kernel/visible-text.ts";
import { BudgetExceeded } from "./run-budget.ts";
import { RunCancelled, RunLost, RunRefused } from "./run-ending.ts";
import type { RunParts } from "./run-parts.ts";

/** Steps and time are told beside it. */
export type RunEnd = Pick<RunFinished, "status"> & Partial<Omit<RunFinished, "$typeName">>;

/** Throws RunLost when that is why the run ended: its end is somebody else's to write. */
export function endOf(error: unknown, parts: RunParts): RunEnd {
  const reason: unknown = parts.signal.aborted ? parts.signal.reason : error;
  if (reason instanceof RunLost) throw reason;
  if (reason instanceof RunCancelled) return { status: RunStatus.CANCELLED, cancelledBy: reason.cancelledBy };
  const refused = [error, reason].find((each) => each instanceof RunRefused);
  if (refused !== undefined) {
    const message = cutText(`what the run wrote could not be stored: ${refused.message}`, 4_000);
    return { status: RunStatus.FAILED, failure: create(RunFailureSchema, { reason: refused.reason, message }) };
  }
  if (error instanceof BudgetExceeded) {
    const message = `the run used up its ${error.message}`;
    return {
      status: RunStatus.BUDGET_EXCEEDED,
      failure: create(RunFailureSchema, {
        reason: ErrorReason.LIMIT_EXCEEDED,
        message,
        metadata: { limit: error.message },
      }),
    };
  }
  if (error instanceof ConnectError) {
    const { reason: known, metadata, retryAfterMs } = failureFacts(error);
    if (known !== undefined) {
      const retryable = retryAfterMs > 0 || (retryableReasons.has(known) && metadata["retry"] !== "false");
      return {
        status: RunStatus.FAILED,
        failure: create(RunFailureSchema, {
          reason: known,
          message: error.rawMessage.slice(0, 4_096),
          metadata: { ...metadata },
          retryable,
        }),
      };
    }
  }
  parts.deps.log.error(
    {
      runId: parts.runId,
      traceId: parts.traceId,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    },
    "a run failed",
  );
  const message = `a fault of ours; the log has it under trace ${parts.traceId}`;
  return {
    status: RunStatus.FAILED,
    failure: create(RunFailureSchema, {
      reason: ErrorReason.INTERNAL,
      message,
      metadata: { trace_id: parts.traceId },
      retryable: true,
    }),
  };
}

const retryableReasons: ReadonlySet<ErrorReason> = new Set([
  ErrorReason.MODEL_UNAVAILABLE,
  ErrorReason.MODEL_GAVE_NO_ANSWER,
  ErrorReason.PEER_UNAVAILABLE,
]);
