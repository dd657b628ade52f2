/**
 * What the fold makes of a session's events: plain, immutable values. A change replaces the objects on its path and
 * shares all others, so `===` says whether a part of the conversation changed.
 */

import type { ContentBlock } from "../../../gen/atoll/content/v1/content_block_pb.ts";
import type { Origin } from "../../../gen/atoll/content/v1/message_pb.ts";
import type { ErrorReason } from "../../../gen/atoll/error/v1/error_reason_pb.ts";
import type { SessionState } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import type { ParkReason, Phase, RunFailure, RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import type { AnswerAction, ApprovalDecision, ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";

export interface Conversation {
  /** The last seq that was applied; 0 for none. */
  readonly seq: number;
  /** Whether the next event may begin at or before `seq` (S2). Set by resumeFold(), cleared by the next event. */
  readonly resumes: boolean;
  /** The seq of the last event that hid bodies (Omitted, LogTruncated, HistoryTrimmed); 0 for none. */
  readonly hiddenThroughSeq: number;
  /** The session's title; empty until it has one. */
  readonly title: string;
  /** The session's state; unspecified until it changed. */
  readonly sessionState: SessionState;
  /** What all model calls consumed. */
  readonly usage: UsageTotals;
  /** Messages, runs and losses, in the order in which a person reads them. */
  readonly turns: readonly Turn[];
}

export interface UsageTotals {
  readonly modelCalls: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  readonly costMicroUsd: number;
}

export type Turn = UserMessage | RunTurn | LostRange;

/** A message that was accepted: a turn of its own, or an item of the run that it steers. */
export interface UserMessage {
  readonly kind: "message";
  readonly messageId: string;
  /** The run that answers it or that it steers. */
  readonly runId: string;
  readonly content: readonly ContentBlock[];
  readonly origin: Origin | undefined;
  /** When it was accepted, milliseconds since 1970; 0 when unknown. */
  readonly timeMs: number;
}

/** Events that no reader can have any more (S4, S5). */
export interface LostRange {
  readonly kind: "lost";
  readonly cause: "truncated" | "trimmed";
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** What happened, for people; may be empty. */
  readonly reason: string;
}

export interface RunTurn {
  readonly kind: "run";
  readonly runId: string;
  readonly agentId: string;
  /** The model of the newest step; empty before the first. */
  readonly model: string;
  /** The newest step, from 1; 0 before the first. */
  readonly step: number;
  /** How many workers have taken it up; 0 before the first. */
  readonly attempt: number;
  /** When it was taken up first, milliseconds since 1970; 0 before. */
  readonly startedAtMs: number;
  readonly state: RunState;
  readonly items: readonly RunItem[];
}

export type RunState =
  | { readonly kind: "queued" /** Runs of the session before it. */; readonly position: number }
  | { readonly kind: "running"; readonly phase: Phase }
  | { readonly kind: "parked"; readonly reason: ParkReason; readonly waitsFor: string }
  /** The model's API failed; the call is made again. */
  | {
      readonly kind: "waiting";
      /** How long, from when the event was written. */
      readonly waitMs: number;
      readonly reason: string;
      /** Which retry follows, from 1, and of how many. */
      readonly retry: number;
      readonly of: number;
    }
  | {
      readonly kind: "finished";
      readonly status: RunStatus;
      readonly failure: RunFailure | undefined;
      readonly durationMs: number;
      readonly cancelledBy: string;
    };

export type RunItem = UserMessage | OutputBlock | ToolCall | Question | Note;

/** A block of model output. */
export interface OutputBlock {
  readonly kind: "block";
  readonly blockId: string;
  readonly output: "text" | "thinking";
  readonly step: number;
  readonly attempt: number;
  readonly text: string;
  /** Where the known text ends in the block, in UTF-8 bytes. */
  readonly byteLength: number;
  /** Whether BlockCompleted arrived and agreed. */
  readonly complete: boolean;
  /** Whether a part of the text was lost or hidden; then no checksum can be held against it. */
  readonly missing: boolean;
  /** Whether the model's maker withheld the text. */
  readonly redacted: boolean;
  /** The last seq that touched the block. */
  readonly lastSeq: number;
  /** Where the text after the last hole begins, as index of `text` and as byte of the block; both 0 without a hole. */
  readonly tailIndex: number;
  readonly tailByte: number;
}

export interface ToolCall {
  readonly kind: "call";
  readonly callId: string;
  /** `server.tool`. */
  readonly tool: string;
  /** JSON text of an object; empty when the proposal is hidden. `show-json.ts` shows it. */
  readonly argumentsJson: string;
  readonly step: number;
  readonly attempt: number;
  readonly state: CallState;
  /** What the tool reported last. */
  readonly progress: CallProgress | undefined;
  readonly approval: Approval | undefined;
}

export type CallState =
  | { readonly kind: "proposed" }
  | { readonly kind: "running" }
  | {
      readonly kind: "finished";
      readonly outcome: ToolOutcome;
      readonly content: readonly ContentBlock[];
      /** Empty for none. */
      readonly structuredJson: string;
      readonly reason: ErrorReason;
      /** Why there is no answer, for people; empty when there is one. */
      readonly message: string;
      readonly durationMs: number;
      readonly truncated: boolean;
    };

export interface CallProgress {
  readonly progress: number;
  /** 0 when unknown. */
  readonly total: number;
  readonly message: string;
}

export interface Approval {
  readonly approvalId: string;
  readonly digest: string;
  readonly reason: string;
  /** UNSPECIFIED while it is open. */
  readonly decision: ApprovalDecision;
  /** Who decided; empty while it is open, and when time ran out. */
  readonly decidedBy: string;
}

export interface Question {
  readonly kind: "question";
  readonly questionId: string;
  readonly message: string;
  /** UNSPECIFIED while it is open. */
  readonly action: AnswerAction;
  /** What was answered; empty without an answer. */
  readonly answer: string;
  /** Whether it is the JSON text of an object. */
  readonly isJson: boolean;
  /** Who answered; empty while it is open, and when nobody did. */
  readonly answeredBy: string;
}

/** Something that happened to the run and that a person should see. */
export interface Note {
  readonly kind: "note";
  readonly seq: number;
  readonly note:
    | { readonly kind: "modelSwitched"; readonly from: string; readonly to: string; readonly reason: string }
    /** The model goes on without a part of the conversation that its API refused. */
    | { readonly kind: "historyMended"; readonly reason: string }
    | { readonly kind: "toolLeftOut"; readonly tool: string; readonly reason: string }
    | { readonly kind: "compacted"; readonly tokensBefore: number; readonly tokensAfter: number }
    | { readonly kind: "stepDiscarded"; readonly step: number; readonly attempt: number }
    | { readonly kind: "resumed"; readonly attempt: number; readonly reason: string }
    | { readonly kind: "subagentSpawned"; readonly sessionId: string; readonly agentId: string; readonly task: string }
    | { readonly kind: "subagentFinished"; readonly sessionId: string; readonly status: RunStatus };
}
