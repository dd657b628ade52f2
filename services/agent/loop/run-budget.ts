/** What bounds a run (L7): steps, output tokens, time. A run's own wish counts within the agent's bound. */
import type { WorkingConversation } from "../memory/working-conversation.ts";
import type { RunParts } from "./run-parts.ts";

export class BudgetExceeded extends Error {
  override readonly name = "BudgetExceeded";
}

/** The output tokens of the whole run; Infinity without a bound. */
export interface TokenBudget {
  readonly max: number;
  readonly left: number;
}

export function tokensOf({ options }: RunParts, { run }: WorkingConversation): TokenBudget {
  const max = Number(options?.maxOutputTokens ?? 0n) || Number.POSITIVE_INFINITY;
  return { max, left: run.steps.reduce((left, { outputTokens }) => left - outputTokens, max) };
}

/** A run's own wish, within the agent's bound. */
export function limit(wish: number, bound: number): number {
  return wish > 0 ? Math.min(wish, bound) : bound;
}
