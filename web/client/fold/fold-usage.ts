/** What the session's model calls consumed, summed. */
import type { Usage } from "../../../gen/atoll/event/v1/block_events_pb.ts";
import type { UsageTotals } from "./conversation.ts";
import type { Draft } from "./fold-draft.ts";
import { toNumber } from "./seq-range.ts";

export const noUsage: UsageTotals = {
  modelCalls: 0,
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  costMicroUsd: 0,
};

export function foldUsage(draft: Draft, usage: Usage): void {
  const before = draft.usage;
  draft.usage = {
    modelCalls: before.modelCalls + 1,
    inputTokens: before.inputTokens + toNumber(usage.inputTokens),
    outputTokens: before.outputTokens + toNumber(usage.outputTokens),
    cacheReadTokens: before.cacheReadTokens + toNumber(usage.cacheReadTokens),
    cacheWriteTokens: before.cacheWriteTokens + toNumber(usage.cacheWriteTokens),
    costMicroUsd: before.costMicroUsd + toNumber(usage.costMicroUsd),
  };
}
