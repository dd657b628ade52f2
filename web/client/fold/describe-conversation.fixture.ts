/** A conversation as the golden vectors write it; test/contract/fold-vectors/README.md describes the form. */

import { type DescEnum, toJson } from "@bufbuild/protobuf";
import type { ContentBlock } from "../../../gen/atoll/content/v1/content_block_pb.ts";
import { SessionStateSchema } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import {
  ParkReasonSchema,
  PhaseSchema,
  RunFailureSchema,
  RunStatusSchema,
} from "../../../gen/atoll/event/v1/run_events_pb.ts";
import {
  AnswerActionSchema,
  ApprovalDecisionSchema,
  ToolOutcomeSchema,
} from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import type { Approval, CallState, Conversation, Note, RunItem, RunState, Turn, UserMessage } from "./conversation.ts";

export function describeConversation(conversation: Conversation): object {
  const { seq, title, sessionState, usage, turns } = conversation;
  const state = nameOf(SessionStateSchema, sessionState);
  return {
    seq,
    ...present({ title, sessionState: state, usage: present({ ...usage }) }),
    turns: turns.map(describeTurn),
  };
}

function describeTurn(turn: Turn): object {
  switch (turn.kind) {
    case "message":
      return describeMessage(turn);
    case "lost": {
      const { cause, firstSeq, lastSeq, reason } = turn;
      return { lost: { cause, firstSeq, lastSeq, ...present({ reason }) } };
    }
    case "run": {
      const attempt = turn.attempt > 1 ? { attempt: turn.attempt } : {};
      const items = turn.items.map(describeItem);
      return { run: { runId: turn.runId, ...attempt, state: describeRunState(turn.state), items } };
    }
  }
}

function describeMessage({ messageId, runId, content }: UserMessage): object {
  return { message: { messageId, runId, text: textOf(content) } };
}

function describeRunState(state: RunState): object {
  switch (state.kind) {
    case "queued":
      return present({ ...state });
    case "running":
      return present({ kind: state.kind, phase: nameOf(PhaseSchema, state.phase) });
    case "waiting":
      return present({ ...state });
    case "parked":
      return present({ kind: state.kind, reason: nameOf(ParkReasonSchema, state.reason), waitsFor: state.waitsFor });
    case "finished": {
      const { kind, status, failure, cancelledBy } = state;
      return present({
        kind,
        status: nameOf(RunStatusSchema, status),
        failure: failure && toJson(RunFailureSchema, failure),
        cancelledBy,
      });
    }
  }
}

function describeItem(item: RunItem): object {
  switch (item.kind) {
    case "message":
      return describeMessage(item);
    case "block": {
      const { blockId, output, text, complete, missing } = item;
      return { block: { blockId, output, text, complete, ...present({ missing }) } };
    }
    case "call": {
      const { callId, tool, progress, approval } = item;
      const described = present({ callId, tool, progress, approval: approval && describeApproval(approval) });
      return {
        call: { ...described, ...present({ argumentsJson: item.argumentsJson }), state: callState(item.state) },
      };
    }
    case "question":
      return {
        question: present({
          questionId: item.questionId,
          message: item.message,
          action: nameOf(AnswerActionSchema, item.action),
        }),
      };
    case "note":
      return { note: describeNote(item.note) };
  }
}

function describeNote(note: Note["note"]): object {
  if (note.kind !== "subagentFinished") return present({ ...note });
  return present({ ...note, status: nameOf(RunStatusSchema, note.status) });
}

function describeApproval({ approvalId, digest, reason, decision }: Approval): object {
  return present({ approvalId, digest, reason, decision: nameOf(ApprovalDecisionSchema, decision) });
}

function callState(state: CallState): object {
  if (state.kind !== "finished") return state;
  const outcome = nameOf(ToolOutcomeSchema, state.outcome);
  return present({
    kind: state.kind,
    outcome,
    text: textOf(state.content),
    message: state.message,
    truncated: state.truncated,
  });
}

function textOf(content: readonly ContentBlock[]): string {
  return content.map(({ block }) => (block.case === "text" ? block.value.text : "")).join("");
}

/** Empty for the default. */
function nameOf(schema: DescEnum, value: number): string {
  if (value === 0) return "";
  return schema.value[value]?.name ?? String(value);
}

/** The fields that are not at their default. */
function present(fields: Record<string, unknown>): Record<string, unknown> {
  const isPresent = (value: unknown) =>
    value !== undefined &&
    value !== "" &&
    value !== 0 &&
    value !== false &&
    !(typeof value === "object" && value !== null && Object.keys(value).length === 0);
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => isPresent(value)));
}
