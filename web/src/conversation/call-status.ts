/** How a tool call stands, in a word or two. */

import { ApprovalDecision, ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import type { ToolCall } from "../../client/fold/conversation.ts";

export interface CallStatus {
  readonly tone: "busy" | "good" | "warn" | "bad";
  readonly text: string;
}

export function describeCall({ state, approval }: ToolCall, isOver: boolean): CallStatus {
  if (state.kind === "finished") return outcomes[state.outcome] ?? { tone: "warn", text: "Ended" };
  if (isOver) return { tone: "warn", text: state.kind === "proposed" ? "Not run" : "No outcome" };
  if (approval?.decision === ApprovalDecision.UNSPECIFIED) return { tone: "warn", text: "Waits for approval" };
  return { tone: "busy", text: state.kind === "proposed" ? "Asked for" : "Running" };
}

const outcomes: Readonly<Record<number, CallStatus>> = {
  [ToolOutcome.SUCCEEDED]: { tone: "good", text: "Done" },
  [ToolOutcome.FAILED]: { tone: "bad", text: "Failed" },
  [ToolOutcome.REFUSED]: { tone: "bad", text: "Refused" },
  [ToolOutcome.DENIED]: { tone: "bad", text: "Denied" },
  [ToolOutcome.CANCELLED]: { tone: "warn", text: "Cancelled" },
  [ToolOutcome.TIMED_OUT]: { tone: "bad", text: "Timed out" },
  [ToolOutcome.UNKNOWN]: { tone: "warn", text: "Outcome unknown" },
};
