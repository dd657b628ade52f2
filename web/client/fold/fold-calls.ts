/** Tool calls: proposed, let through, progress, approval, outcome. A call whose beginning is hidden is made on the way. */
import type { Event } from "../../../gen/atoll/event/v1/event_pb.ts";
import {
  ApprovalDecision,
  type ApprovalRequested,
  type ApprovalResolved,
  type ToolCallFinished,
  type ToolProgress,
} from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import type { ToolCall } from "./conversation.ts";
import { addItem, type Draft, ownItem, ownRun } from "./fold-draft.ts";

type CallDraft = { -readonly [Key in keyof ToolCall]: ToolCall[Key] };

export function foldCallProposed(
  draft: Draft,
  event: Event,
  proposed: { readonly callId: string; readonly tool: string; readonly argumentsJson: string },
): void {
  const call = ownCall(draft, event, proposed.callId);
  call.tool = proposed.tool;
  call.argumentsJson = proposed.argumentsJson;
}

export function foldCallStarted(draft: Draft, event: Event, callId: string, tool: string): void {
  const call = ownCall(draft, event, callId);
  call.tool = tool;
  if (call.state.kind === "proposed") call.state = { kind: "running" };
}

export function foldCallProgress(draft: Draft, event: Event, reported: ToolProgress): void {
  const { progress, total, message } = reported;
  ownCall(draft, event, reported.callId).progress = { progress, total, message };
}

export function foldCallFinished(draft: Draft, event: Event, finished: ToolCallFinished): void {
  const { outcome, content, structuredJson, reason, message, durationMs, truncated } = finished;
  const call = ownCall(draft, event, finished.callId);
  call.state = { kind: "finished", outcome, content, structuredJson, reason, message, durationMs, truncated };
}

export function foldApprovalRequested(draft: Draft, event: Event, requested: ApprovalRequested): void {
  foldCallProposed(draft, event, requested);
  const { approvalId, digest, reason } = requested;
  const call = ownCall(draft, event, requested.callId);
  call.approval = { approvalId, digest, reason, decision: ApprovalDecision.UNSPECIFIED, decidedBy: "" };
}

export function foldApprovalResolved(draft: Draft, event: Event, resolved: ApprovalResolved): void {
  const run = ownRun(draft, event.runId);
  const call = ownItem(draft, run, "call", (item) => item.approval?.approvalId === resolved.approvalId);
  // Without the call its request is hidden, and so is what was decided about it.
  if (call?.approval === undefined) return;
  const { decision, decidedBy } = resolved;
  call.approval = { ...call.approval, decision, decidedBy };
}

function ownCall(draft: Draft, event: Event, callId: string): CallDraft {
  const run = ownRun(draft, event.runId);
  const known = ownItem(draft, run, "call", (item) => item.callId === callId);
  if (known !== undefined) return known;
  return addItem<ToolCall>(draft, run, {
    kind: "call",
    callId,
    tool: "",
    argumentsJson: "",
    step: event.step,
    attempt: event.attempt,
    state: { kind: "proposed" },
    progress: undefined,
    approval: undefined,
  });
}
