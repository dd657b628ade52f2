/** Takes the signatures of reasoning away when a model's API refuses it (F2): without one it is not sent back. */
import type { ConversationRun } from "./conversation.ts";

export function forgetThinking({ steps }: ConversationRun): void {
  for (const item of steps.flatMap(({ items }) => items)) if (item.kind === "block") item.signature = new Uint8Array();
}

/** A copy of the run. */
export function withoutReasoning(run: ConversationRun): ConversationRun {
  const copy = {
    ...run,
    steps: run.steps.map((step) => ({ ...step, items: step.items.map((item) => ({ ...item })) })),
  };
  forgetThinking(copy);
  return copy;
}
