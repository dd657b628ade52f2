/**
 * The fold: a session's events in, the conversation out. Pure. The same for a snapshot, a log read from the beginning
 * and a live stream (S5). Keeps S1–S3, S7 and S8; test/contract/fold-vectors holds golden vectors for any language.
 */

import type { Event } from "../../../gen/atoll/event/v1/event_pb.ts";
import { SessionState } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import type { Conversation } from "./conversation.ts";
import { foldBody } from "./fold-body.ts";
import { closeDraft, type Draft, openDraft } from "./fold-draft.ts";
import { FoldError } from "./fold-error.ts";
import { noUsage } from "./fold-usage.ts";
import { mayOverlap, placeRange, rangeOf, type SeqRange } from "./seq-range.ts";

/**
 * The conversation before its first event. With `afterSeq` the fold begins there, as for a client that wants only what
 * follows a message: everything up to it counts as hidden.
 */
export function createFold(afterSeq = 0): Conversation {
  return {
    seq: afterSeq,
    resumes: afterSeq > 0,
    hiddenThroughSeq: afterSeq,
    title: "",
    sessionState: SessionState.UNSPECIFIED,
    usage: noUsage,
    turns: [],
  };
}

/** Says that the next event comes from a new stream: only that one may begin at or before `conversation.seq` (S2). */
export function resumeFold(conversation: Conversation): Conversation {
  return { ...conversation, resumes: true };
}

/** Applies one event. Throws FoldError when it breaks an invariant; see FoldProblem. */
export function applyEvent(conversation: Conversation, event: Event): Conversation {
  return applyEvents(conversation, [event]);
}

/**
 * Applies events in order, all or none. The same result as applyEvent() for each, and much cheaper for many: what
 * changes is copied once for the whole batch. Throws FoldError.
 */
export function applyEvents(conversation: Conversation, events: Iterable<Event>): Conversation {
  const draft = openDraft(conversation);
  for (const event of events) {
    const range = rangeOf(event);
    checkPlace(draft, event, range);
    foldBody(draft, event, range);
    draft.seq = range.last;
    draft.resumes = false;
  }
  return closeDraft(draft);
}

function checkPlace(draft: Draft, event: Event, range: SeqRange): void {
  const place = placeRange(range, draft.seq);
  if (place === "next" || (place === "overlap" && draft.resumes && mayOverlap(event))) return;
  const problem = place === "gap" ? "gap" : "repeat";
  throw new FoldError(problem, range.last, `after ${draft.seq} came an event for ${range.first}..${range.last}`);
}
