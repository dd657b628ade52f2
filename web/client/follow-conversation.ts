/** A session's conversation as it grows: the subscription and the fold together. */
import type { Conversation } from "./fold/conversation.ts";
import { FoldError } from "./fold/fold-error.ts";
import { applyEvents, createFold, resumeFold } from "./fold/fold-events.ts";
import { type SubscribeOptions, subscribeEvents } from "./subscribe.ts";

/**
 * Yields the conversation after every delivery, from the beginning of the log. An event that breaks an invariant makes
 * it read the log once more from the beginning; when the same event is refused again it throws FoldError. Else as
 * subscribeEvents().
 */
export async function* followConversation(
  options: Omit<SubscribeOptions, "cursor" | "filter">,
): AsyncGenerator<Conversation, void, undefined> {
  let refusedSeq: number | undefined;
  while (true) {
    try {
      return yield* followOnce(options);
    } catch (error) {
      if (!(error instanceof FoldError) || error.seq === refusedSeq) throw error;
      refusedSeq = error.seq;
    }
  }
}

async function* followOnce(options: SubscribeOptions): AsyncGenerator<Conversation, void, undefined> {
  let conversation = createFold();
  for await (const delivery of subscribeEvents(options)) {
    switch (delivery.kind) {
      case "startOver":
        conversation = createFold();
        break;
      case "events":
        conversation = applyEvents(delivery.resumed ? resumeFold(conversation) : conversation, delivery.events);
        break;
    }
    yield conversation;
  }
}
