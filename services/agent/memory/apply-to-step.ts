/** Folds what a model said, and what became of its calls, into a step (S3). */
import { BlockKind } from "../../../gen/atoll/event/v1/block_events_pb.ts";
import type { Event } from "../../../gen/atoll/event/v1/event_pb.ts";
import type { Step, StepItem } from "./conversation.ts";

export function applyToStep(step: Step, body: Event["body"]): void {
  switch (body.case) {
    case "textDelta":
    case "thinkingDelta": {
      const { blockId, offset, text } = body.value;
      const item = blockOf(step, blockId, body.case === "textDelta" ? "text" : "thinking");
      appendAt(item, Number(offset), text);
      return;
    }
    case "blockCompleted": {
      const { blockId, kind, signature, redacted } = body.value;
      const item = blockOf(step, blockId, kind === BlockKind.THINKING ? "thinking" : "text");
      Object.assign(item, { completed: true, signature, redacted });
      return;
    }
    case "toolCallProposed": {
      const { callId, tool, argumentsJson } = body.value;
      step.items.push({ kind: "call", callId, tool, argumentsJson, finished: undefined });
      return;
    }
    case "toolCallStarted": {
      const call = callOf(step, body.value.callId);
      if (call !== undefined) call.hasStarted = true;
      return;
    }
    case "toolCallFinished": {
      const call = callOf(step, body.value.callId);
      if (call !== undefined) call.finished = body.value;
      return;
    }
    case "usage":
      Object.assign(step, {
        modelDone: true,
        outputTokens: Number(body.value.outputTokens),
        stopReason: body.value.stopReason,
      });
      return;
    default:
      return;
  }
}

function callOf(step: Step, callId: string): Extract<StepItem, { kind: "call" }> | undefined {
  return step.items.filter((item) => item.kind === "call").find((item) => item.callId === callId);
}

function blockOf(step: Step, blockId: string, block: "text" | "thinking"): Extract<StepItem, { kind: "block" }> {
  const found = step.items.find((item) => item.kind === "block" && item.blockId === blockId);
  if (found?.kind === "block") return found;
  const item: StepItem = {
    kind: "block",
    blockId,
    block,
    text: "",
    completed: false,
    signature: new Uint8Array(),
    redacted: false,
  };
  step.items.push(item);
  return item;
}

/** S3: truncate to the offset (UTF-8 bytes), then append. Nearly always the offset is the end. */
function appendAt(item: Extract<StepItem, { kind: "block" }>, offset: number, text: string): void {
  const known = item.bytes ?? Buffer.byteLength(item.text);
  const kept = known === offset ? item.text : Buffer.from(item.text).subarray(0, offset).toString("utf8");
  item.bytes = Math.min(known, offset) + Buffer.byteLength(text);
  item.text = kept + text;
}
