/** Writes down how a call ended, as kernel/call/known-of-call.ts says it for people and models. */
import { create } from "@bufbuild/protobuf";
import { type ToolResult, ToolResultSchema } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { type CallFate, knownOfCall } from "../../kernel/call/known-of-call.ts";
import type { McpCallEnd } from "../mcp/mcp-connection.ts";
import { visibleProblem } from "../problem-text.ts";
import type { BoundAnswer } from "./bound-answer.ts";

/** A call that ended without an answer, and what its message names. */
export interface EndedCall {
  readonly callId: string;
  readonly tool: string;
  readonly server: string;
  readonly durationMs: number;
}

export function answeredResult(call: EndedCall, isError: boolean, answer: BoundAnswer): ToolResult {
  const { content, structuredJson, truncated } = answer;
  return create(ToolResultSchema, {
    callId: call.callId,
    ...knownOfCall({ kind: "answered", isError }),
    content,
    structuredJson,
    durationMs: call.durationMs,
    truncated,
  });
}

export function unansweredResult(call: EndedCall, end: Exclude<McpCallEnd, { kind: "answered" }>): ToolResult {
  return resultOf(call, fateOf(call, end));
}

/** For a call that an earlier or another instance dispatched, and of which nobody knows how it ended (T1). */
export function inDoubtResult(callId: string): ToolResult {
  return resultOf({ callId }, { kind: "in-doubt", problem: "the tool router ended while the call ran" });
}

/** For a call whose caller was told that it had started, and of which the ledger knows nothing: it was lost or replaced. */
export function forgottenResult(callId: string): ToolResult {
  const problem = "the call had started, and the tool router has lost its record of it";
  return resultOf({ callId }, { kind: "in-doubt", problem });
}

/** For a call that was cancelled before it was let through: it had no effect and nothing was recorded. */
export function neverDispatchedResult(callId: string): ToolResult {
  return resultOf({ callId }, { kind: "cancelled-before" });
}

function resultOf(call: { readonly callId: string; readonly durationMs?: number }, fate: CallFate): ToolResult {
  const { callId, durationMs = 0 } = call;
  return create(ToolResultSchema, { callId, durationMs, ...knownOfCall(fate) });
}

function fateOf({ tool, server }: EndedCall, end: Exclude<McpCallEnd, { kind: "answered" }>): CallFate {
  switch (end.kind) {
    case "rejected":
    case "unreadable":
    case "lost":
      return { kind: end.kind, server, problem: visibleProblem(end.problem) };
    case "refused":
      return { kind: "refused-by-server", server, problem: visibleProblem(end.problem) };
    case "not-sent":
      return { kind: "never-sent", server, problem: visibleProblem(end.problem) };
    case "timed-out":
      return { kind: "timed-out", tool, problem: visibleProblem(end.problem) };
    case "cancelled":
      return { kind: "cancelled", tool };
  }
}
