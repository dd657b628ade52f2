/**
 * The one budget of retries of a step, and how long each one waits.
 *
 * Keeps L7: as many retries as the model's settings say, whether the call failed before or after its first part. The
 * server's word goes first: what it says can't be helped is not tried again, and the wait that it asks for is waited,
 * unless the run's time ends before: then the run ends at once, and says when to try again.
 */
import { ConnectError } from "@connectrpc/connect";
import { ErrorReason, failure, failureFacts } from "../../kernel/errors.ts";

const firstDelayMs = 500;
const longestBackoffMs = 8_000;

export interface RetryBudget {
  /** Retries made so far. */
  readonly retries: number;
  readonly maxRetries: number;
  /** What is left of the run's time. */
  readonly leftMs: number;
  /** 0 to 1; spreads the retries of many runs. */
  readonly random: number;
}

/** How long to wait before the step is made again, in milliseconds. Throws what the run ends with when it is not. */
export function waitBeforeRetry(error: unknown, { retries, maxRetries, leftMs, random }: RetryBudget): number {
  if (!(error instanceof ConnectError)) throw error;
  const { reason, metadata, retryAfterMs } = failureFacts(error);
  if (reason !== ErrorReason.MODEL_UNAVAILABLE || metadata["retry"] === "false" || retries >= maxRetries) throw error;
  const ceilingMs = Math.min(longestBackoffMs, firstDelayMs * 2 ** retries);
  const waitMs = retryAfterMs > 0 ? retryAfterMs : ceilingMs * (0.5 + random / 2);
  if (waitMs >= leftMs) throw outOfTime(error, waitMs, leftMs);
  return waitMs;
}

function outOfTime(error: ConnectError, waitMs: number, leftMs: number): ConnectError {
  const { metadata } = failureFacts(error);
  const message = `${error.rawMessage} It would be tried again in ${seconds(waitMs)}; the run has ${seconds(leftMs)} left.`;
  return failure(ErrorReason.MODEL_UNAVAILABLE, message, {
    metadata: { ...metadata, model: metadata["model"] ?? "" },
    retryAfterMs: waitMs,
    cause: error,
  });
}

function seconds(ms: number): string {
  return `${Math.ceil(Math.max(0, ms) / 1_000)} s`;
}
