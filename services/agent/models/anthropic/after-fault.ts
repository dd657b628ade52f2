/**
 * What to do when a call failed.
 *
 * Keeps L7: no more retries than configured, no wait over `longestRetryDelayMs`; when the API asks for a longer one,
 * waiting is the caller's decision. Keeps the port's law that nothing is tried again once a part was given out.
 */
import type { ApiFault } from "./api-faults.ts";

/** The longest wait between two attempts, in milliseconds. */
const longestRetryDelayMs = 30_000;

const firstDelayMs = 500;
const longestBackoffMs = 8_000;

export interface CallState {
  /** Retries made so far. */
  readonly retries: number;
  readonly maxRetries: number;
  /** Whether a part was given out. */
  readonly shown: boolean;
  /** Whether the request carried reasoning of earlier answers. */
  readonly sentThinking: boolean;
}

export type NextStep =
  | { readonly step: "ask-without-thinking" }
  | { readonly step: "wait"; readonly delayMs: number }
  | { readonly step: "give-up" };

/** `random` is 0 to 1 and spreads the retries of many callers. */
export function afterFault(fault: ApiFault, state: CallState, random: number): NextStep {
  if (state.shown) return { step: "give-up" };
  // Newer models answer 400 to reasoning whose conversation changed in front of it (trimmed history, other tools).
  if (fault.status === 400 && state.sentThinking) return { step: "ask-without-thinking" };
  if (!fault.retryable || state.retries >= state.maxRetries) return { step: "give-up" };
  if (fault.retryAfterMs !== undefined) {
    const bearable = fault.retryAfterMs <= longestRetryDelayMs;
    return bearable ? { step: "wait", delayMs: fault.retryAfterMs } : { step: "give-up" };
  }
  const ceilingMs = Math.min(longestBackoffMs, firstDelayMs * 2 ** state.retries);
  return { step: "wait", delayMs: ceilingMs * (0.5 + random / 2) };
}
