/** Writes down how a call ended, for people and models: what happened and what to do. */
import { create } from "@bufbuild/protobuf";
import { ToolOutcome } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import { type ToolResult, ToolResultSchema } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { ErrorReason } from "../kernel/errors.ts";
import type { BoundAnswer } from "./bound-answer.ts";
import type { McpCallEnd } from "./mcp/mcp-connection.ts";
import { visibleProblem } from "./problem-text.ts";

/** A call that ended without an answer, and what its message names. */
export interface EndedCall {
  readonly callId: string;
  readonly tool: string;
  readonly server: string;
  readonly durationMs: number;
}

export function answeredResult(call: EndedCall, isError: boolean, answer: BoundAnswer): ToolResult {
  const { content, structured, truncated } = answer;
  return create(ToolResultSchema, {
    callId: call.callId,
    outcome: isError ? ToolOutcome.FAILED : ToolOutcome.SUCCEEDED,
    content,
    ...(structured === undefined ? {} : { structured }),
    durationMs: call.durationMs,
    truncated,
  });
}

export function unansweredResult(call: EndedCall, end: Exclude<McpCallEnd, { kind: "answered" }>): ToolResult {
  const { callId, durationMs } = call;
  return create(ToolResultSchema, { callId, durationMs, ...explain(call, end) });
}

/** For a call that an earlier or another instance dispatched, and of which nobody knows how it ended (T1). */
export function inDoubtResult(callId: string): ToolResult {
  return create(ToolResultSchema, {
    callId,
    outcome: ToolOutcome.UNKNOWN,
    reason: ErrorReason.TOOL_OUTCOME_UNKNOWN,
    message: `the tool router ended while the call ran; ${doubt}`,
  });
}

/** For a call that was cancelled before it was let through: it had no effect and nothing was recorded. */
export function neverDispatchedResult(callId: string): ToolResult {
  const message = "the call was cancelled before it reached the tool; it had no effect";
  return create(ToolResultSchema, { callId, outcome: ToolOutcome.CANCELLED, message });
}

const doubt = "the call may or may not have had its effect: find out before you make it again";

function explain(
  { tool, server }: EndedCall,
  end: Exclude<McpCallEnd, { kind: "answered" }>,
): { readonly outcome: ToolOutcome; readonly reason?: ErrorReason; readonly message: string } {
  switch (end.kind) {
    case "rejected":
      return {
        outcome: ToolOutcome.FAILED,
        message: `the MCP server "${server}" answered with an error: ${visibleProblem(end.problem)}`,
      };
    case "unreadable":
      return {
        outcome: ToolOutcome.FAILED,
        message: `the MCP server "${server}" answered, but its answer can't be read: ${visibleProblem(end.problem)}; the call may have had its effect`,
      };
    case "refused":
      return {
        outcome: ToolOutcome.REFUSED,
        reason: ErrorReason.SERVER_UNAVAILABLE,
        message: `the MCP server "${server}" refused the call, which had no effect: ${visibleProblem(end.problem)}`,
      };
    case "not-sent":
      return {
        outcome: ToolOutcome.REFUSED,
        reason: ErrorReason.SERVER_UNAVAILABLE,
        message: `the call did not reach the MCP server "${server}" and had no effect: ${visibleProblem(end.problem)}`,
      };
    case "lost":
      return {
        outcome: ToolOutcome.UNKNOWN,
        reason: ErrorReason.TOOL_OUTCOME_UNKNOWN,
        message: `the MCP server "${server}" gave no answer: ${visibleProblem(end.problem)}; ${doubt}`,
      };
    case "timed-out":
      return {
        outcome: ToolOutcome.TIMED_OUT,
        reason: ErrorReason.TOOL_TIMEOUT,
        message: `${tool} ${visibleProblem(end.problem)} and was told to stop; ${doubt}`,
      };
    case "cancelled":
      return {
        outcome: ToolOutcome.CANCELLED,
        message: `the call was cancelled and ${tool} was told to stop; ${doubt}`,
      };
  }
}
