/** Which part of the fold an event's body belongs to. Keeps S7: an unknown body changes nothing. */
import type { Event } from "../../../gen/atoll/event/v1/event_pb.ts";
import type { LostRange } from "./conversation.ts";
import { foldBlockCompleted, foldDelta, foldStepDiscarded } from "./fold-blocks.ts";
import {
  foldApprovalRequested,
  foldApprovalResolved,
  foldCallFinished,
  foldCallProgress,
  foldCallProposed,
  foldCallStarted,
} from "./fold-calls.ts";
import type { Draft } from "./fold-draft.ts";
import {
  addNote,
  foldMessage,
  foldQuestionAnswered,
  foldQuestionAsked,
  foldRunFinished,
  foldRunQueued,
  foldRunTaken,
  foldStepStarted,
  moveRun,
} from "./fold-runs.ts";
import { foldUsage } from "./fold-usage.ts";
import { type SeqRange, toNumber } from "./seq-range.ts";

/** Applies what happened; the place of the event was checked before. */
export function foldBody(draft: Draft, event: Event, range: SeqRange): void {
  const { body } = event;
  switch (body.case) {
    case "textDelta":
      foldDelta(draft, event, "text", body.value);
      break;
    case "thinkingDelta":
      foldDelta(draft, event, "thinking", body.value);
      break;
    case "blockCompleted":
      foldBlockCompleted(draft, event, body.value);
      break;
    case "stepDiscarded":
      foldStepDiscarded(draft, event, body.value);
      break;
    case "messageReceived":
      foldMessage(draft, event, body.value);
      break;
    case "runQueued":
      foldRunQueued(draft, event, body.value);
      break;
    case "runStarted":
      foldRunTaken(draft, event, Math.max(event.attempt, 1));
      break;
    case "runResumed":
      addNote(draft, event, { kind: "resumed", attempt: body.value.attempt, reason: body.value.reason });
      foldRunTaken(draft, event, body.value.attempt);
      break;
    case "runParked":
      moveRun(draft, event, { kind: "parked", reason: body.value.reason, waitsFor: body.value.waitsFor });
      break;
    case "modelWaiting": {
      const { reason, retry, of } = body.value;
      moveRun(draft, event, { kind: "waiting", waitMs: toNumber(body.value.waitMs), reason, retry, of });
      break;
    }
    case "historyMended":
      addNote(draft, event, { kind: "historyMended", reason: body.value.reason });
      break;
    case "toolLeftOut":
      addNote(draft, event, { kind: "toolLeftOut", tool: body.value.tool, reason: body.value.reason });
      break;
    case "runFinished":
      foldRunFinished(draft, event, body.value);
      break;
    case "stepStarted":
      foldStepStarted(draft, event, body.value.model);
      break;
    case "phaseChanged":
      moveRun(draft, event, { kind: "running", phase: body.value.phase });
      break;
    case "toolCallProposed":
      foldCallProposed(draft, event, body.value);
      break;
    case "toolCallStarted":
      foldCallStarted(draft, event, body.value.callId, body.value.tool);
      break;
    case "toolProgress":
      foldCallProgress(draft, event, body.value);
      break;
    case "toolCallFinished":
      foldCallFinished(draft, event, body.value);
      break;
    case "approvalRequested":
      foldApprovalRequested(draft, event, body.value);
      break;
    case "approvalResolved":
      foldApprovalResolved(draft, event, body.value);
      break;
    case "questionAsked":
      foldQuestionAsked(draft, event, body.value);
      break;
    case "questionAnswered":
      foldQuestionAnswered(draft, event, body.value);
      break;
    case "usage":
      foldUsage(draft, body.value);
      break;
    case "modelSwitched": {
      const { fromModel: from, toModel: to, reason } = body.value;
      addNote(draft, event, { kind: "modelSwitched", from, to, reason });
      break;
    }
    case "compacted": {
      const tokensBefore = toNumber(body.value.tokensBefore);
      const tokensAfter = toNumber(body.value.tokensAfter);
      addNote(draft, event, { kind: "compacted", tokensBefore, tokensAfter });
      break;
    }
    case "subagentSpawned": {
      const { sessionId, agentId, task } = body.value;
      addNote(draft, event, { kind: "subagentSpawned", sessionId, agentId, task });
      break;
    }
    case "subagentFinished": {
      const { sessionId, status } = body.value;
      addNote(draft, event, { kind: "subagentFinished", sessionId, status });
      break;
    }
    case "sessionUpdated":
      if (body.value.fields.includes("title")) draft.title = body.value.title;
      if (body.value.fields.includes("state")) draft.sessionState = body.value.state;
      break;
    case "omitted":
      draft.hiddenThroughSeq = range.last;
      break;
    case "logTruncated":
      addLostRange(draft, range, "truncated", body.value.reason);
      break;
    case "historyTrimmed":
      addLostRange(draft, range, "trimmed", "");
      break;
    case undefined:
      // A body of a newer contract: it counts, and there is nothing else to do with it (S7).
      break;
  }
}

function addLostRange(draft: Draft, range: SeqRange, cause: LostRange["cause"], reason: string): void {
  draft.hiddenThroughSeq = range.last;
  draft.turns.push({ kind: "lost", cause, firstSeq: range.first, lastSeq: range.last, reason });
}
