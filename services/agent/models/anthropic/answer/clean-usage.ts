/** Counts of an answer, cleaned at the door: whatever is no whole number of tokens counts as left out. */
import type { ModelUsage } from "../../model.ts";

export const noUsage: ModelUsage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 };

/** Counts are cumulative; what an event leaves out, or says unreadably, keeps its value. */
export function addUsage(usage: ModelUsage, counts: unknown): ModelUsage {
  if (typeof counts !== "object" || counts === null) return usage;
  const given = counts as Readonly<Record<string, unknown>>;
  return {
    inputTokens: countOf(given["input_tokens"]) ?? usage.inputTokens,
    outputTokens: countOf(given["output_tokens"]) ?? usage.outputTokens,
    cacheReadTokens: countOf(given["cache_read_input_tokens"]) ?? usage.cacheReadTokens,
    cacheWriteTokens: countOf(given["cache_creation_input_tokens"]) ?? usage.cacheWriteTokens,
  };
}

function countOf(value: unknown): number | undefined {
  if (typeof value !== "number" || !(value >= 0)) return undefined;
  const whole = Math.floor(value);
  return Number.isSafeInteger(whole) ? whole : undefined;
}
