import type { ContentBlock } from "../../../gen/atoll/content/v1/content_block_pb.ts";
import { type ToolCallFinished, ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";

/** A block of model output, or a tool call, in the order in which the model made them. */
export type StepItem =
  | {
      readonly kind: "block";
      readonly blockId: string;
      block: "text" | "thinking";
      text: string;
      /** Of the text, in UTF-8, while it is folded: counting it anew with each delta costs the square of a long text. */
      bytes?: number;
      completed: boolean;
      signature: Uint8Array;
      redacted: boolean;
    }
  | {
      readonly kind: "call";
      readonly callId: string;
      readonly tool: string;
      /** As ToolCallProposed.arguments_json. */
      readonly argumentsJson: string;
      /** Undefined until the call has its outcome. */
      finished: ToolCallFinished | undefined;
      /** The log says that the router had let it through. */
      hasStarted?: boolean;
      /** This worker has asked the router for it. */
      wasAsked?: boolean;
    };

/** A message that came while its run was worked on (queue mode STEER). */
export interface SteerMessage {
  readonly messageId: string;
  readonly content: ContentBlock[];
}

export interface Step {
  readonly step: number;
  readonly attempt: number;
  /** What steers the run and was read first by this step's model call; it stands in front of what the model said. */
  readonly read: readonly SteerMessage[];
  readonly items: StepItem[];
  /** Whether the model call came to its end: its Usage event is there. */
  modelDone: boolean;
  outputTokens: number;
  stopReason: string;
}

export interface ConversationRun {
  readonly runId: string;
  /** Where the log speaks of it first, which is its oldest message; 0 outside a log. */
  firstSeq: number;
  /** Milliseconds that workers have worked on it, as far as the log's times tell. */
  workedMs: number;
  /** When its last event was written, in milliseconds since 1970 by the log's times; 0 outside a log. */
  lastAtMs: number;
  readonly messages: ContentBlock[][];
  readonly steps: Step[];
  /** What steers the run and was read by no model call yet. */
  readonly unread: SteerMessage[];
}

export interface Conversation {
  /** Started runs, oldest first; the last one is the newest. */
  readonly runs: readonly ConversationRun[];
}

/** Calls of a step that have no outcome yet. */
export function openCalls(step: Step): Extract<StepItem, { kind: "call" }>[] {
  return step.items.filter((item) => item.kind === "call").filter((call) => call.finished === undefined);
}

/** Whether the tool did what it was asked. */
export function succeeded(finished: ToolCallFinished): boolean {
  return finished.outcome === ToolOutcome.SUCCEEDED;
}
