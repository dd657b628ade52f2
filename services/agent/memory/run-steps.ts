/** The steps of a run, and what each of them has read of what steers it. */
import type { ConversationRun, SteerMessage, Step } from "./conversation.ts";

export function newStep(step: number, attempt: number, read: readonly SteerMessage[]): Step {
  return { step, attempt, read, items: [], modelDone: false, outputTokens: 0, stopReason: "" };
}

/** What the step had read is unread again: whoever makes the step anew reads it anew. */
export function discardStep({ steps, unread }: ConversationRun, step: number, attempt: number): Step[] {
  const index = steps.findLastIndex((each) => each.step === step && each.attempt === attempt);
  const discarded = index >= 0 ? steps.splice(index, 1) : [];
  unread.unshift(...discarded.flatMap(({ read }) => read));
  return discarded;
}

export function takeUnread(run: ConversationRun, messageIds: readonly string[]): SteerMessage[] {
  const taken = run.unread.filter(({ messageId }) => messageIds.includes(messageId));
  if (taken.length > 0) run.unread.splice(0, run.unread.length, ...run.unread.filter((each) => !taken.includes(each)));
  return taken;
}
