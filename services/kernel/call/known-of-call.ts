/**
 * What is known of a tool call, as its outcome and in words for people and models. The one place that says it: the router
 * of a call that it let through, a worker of one that it asked for, the session service of one whose run it ends.
 *
 * Keeps F3: UNKNOWN is said only where nobody can know whether the call had its effect. A call that was refused, never
 * sent, or answered, readably or not, has that outcome. Pure.
 */
import { ErrorReason } from "../../../gen/atoll/error/v1/error_reason_pb.ts";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";

/** How a call ended. A `problem` is a part of a sentence, for example `it exited with code 1`. */
export type CallFate =
  /** It was turned away in front of the tool, by a service of ours; `problem` is a whole sentence. */
  | { readonly kind: "refused"; readonly reason: ErrorReason; readonly problem: string }
  /** The server never got it. */
  | { readonly kind: "never-sent"; readonly server: string; readonly problem: string }
  /** The server turned it away before it did anything. */
  | { readonly kind: "refused-by-server"; readonly server: string; readonly problem: string }
  /** It was cancelled before it was let through to the tool. */
  | { readonly kind: "cancelled-before" }
  /** Its run was ended by the session service, and the log does not show that it was let through. */
  | { readonly kind: "run-ended-before" }
  /** The tool answered, and says itself whether it failed. */
  | { readonly kind: "answered"; readonly isError: boolean }
  /** The server answered with an error of the protocol. */
  | { readonly kind: "rejected"; readonly server: string; readonly problem: string }
  /** The server answered with something that can't be read. */
  | { readonly kind: "unreadable"; readonly server: string; readonly problem: string }
  | { readonly kind: "timed-out"; readonly tool: string; readonly problem: string }
  /** It was cancelled when it had been let through. */
  | { readonly kind: "cancelled"; readonly tool: string }
  /** The server may have got it, and will never answer. */
  | { readonly kind: "lost"; readonly server: string; readonly problem: string }
  /** It was let through, or may have been, and who knew how it ended is gone; `problem` is a whole sentence. */
  | { readonly kind: "in-doubt"; readonly problem: string };

export interface KnownOfCall {
  readonly outcome: ToolOutcome;
  /** Unspecified when the tool answered, and when the call was cancelled. */
  readonly reason: ErrorReason;
  /** Empty when the answer speaks for itself. */
  readonly message: string;
}

const doubt = "the call may or may not have had its effect: find out before you make it again";

export function knownOfCall(fate: CallFate): KnownOfCall {
  switch (fate.kind) {
    case "refused":
      return known(ToolOutcome.REFUSED, fate.problem, fate.reason);
    case "never-sent":
      return known(
        ToolOutcome.REFUSED,
        `the call did not reach the MCP server "${fate.server}" and had no effect: ${fate.problem}`,
        ErrorReason.SERVER_UNAVAILABLE,
      );
    case "refused-by-server":
      return known(
        ToolOutcome.REFUSED,
        `the MCP server "${fate.server}" refused the call, which had no effect: ${fate.problem}`,
        ErrorReason.SERVER_UNAVAILABLE,
      );
    case "cancelled-before":
      return known(ToolOutcome.CANCELLED, "the call was cancelled and never reached the tool; it had no effect");
    case "run-ended-before":
      return known(
        ToolOutcome.CANCELLED,
        "the run was ended before the tool router was heard to let the call through: it should never have reached the tool",
      );
    case "answered":
      return known(fate.isError ? ToolOutcome.FAILED : ToolOutcome.SUCCEEDED, "");
    case "rejected":
      return known(ToolOutcome.FAILED, `the MCP server "${fate.server}" answered with an error: ${fate.problem}`);
    case "unreadable":
      return known(
        ToolOutcome.FAILED,
        `the MCP server "${fate.server}" answered, but its answer can't be read: ${fate.problem}; the call is over and may have had its effect`,
        ErrorReason.TOOL_ANSWER_UNREADABLE,
      );
    case "timed-out":
      return known(
        ToolOutcome.TIMED_OUT,
        `${fate.tool} ${fate.problem} and was told to stop; ${doubt}`,
        ErrorReason.TOOL_TIMEOUT,
      );
    case "cancelled":
      return known(ToolOutcome.CANCELLED, `the call was cancelled and ${fate.tool} was told to stop; ${doubt}`);
    case "lost":
      return known(
        ToolOutcome.UNKNOWN,
        `the MCP server "${fate.server}" gave no answer: ${fate.problem}; ${doubt}`,
        ErrorReason.TOOL_OUTCOME_UNKNOWN,
      );
    case "in-doubt":
      return known(ToolOutcome.UNKNOWN, `${fate.problem}; ${doubt}`, ErrorReason.TOOL_OUTCOME_UNKNOWN);
  }
}

function known(outcome: ToolOutcome, message: string, reason: ErrorReason = ErrorReason.UNSPECIFIED): KnownOfCall {
  return { outcome, reason, message };
}
