/**
 * Gives an outcome to the calls that a run leaves open when it ends.
 *
 * Keeps F3: each call that the log shows as proposed has one outcome in front of RunFinished. What a model asked for in a
 * step that never came to its tools never reached them; of what was asked for, and has no outcome, nobody knows.
 */

import type { Step, StepItem } from "../memory/conversation.ts";
import type { WorkingConversation } from "../memory/working-conversation.ts";
import { finishedWith } from "../tools/call-tool.ts";
import type { EventWriter } from "./event-writer.ts";

/** Stops behind which a step's calls are not made. */
const stopsWithoutTools: readonly string[] = ["max_tokens", "refusal", "context_full"];

export function endOpenCalls(writer: EventWriter, conversation: WorkingConversation): void {
  for (const step of [...conversation.untoldSteps, ...conversation.run.steps]) {
    for (const item of step.items) if (item.kind === "call") endCall(writer, step, item);
  }
}

function endCall(writer: EventWriter, step: Step, item: Extract<StepItem, { kind: "call" }>): void {
  // What this worker refused in a step that was cut short is not in the log yet.
  if (item.finished !== undefined && (step.modelDone || step.attempt !== writer.attempt)) return;
  const mayHaveBeenMade =
    step.modelDone &&
    !stopsWithoutTools.includes(step.stopReason) &&
    (item.wasAsked === true || item.hasStarted === true || step.attempt !== writer.attempt);
  const problem = "the run ended before the tool router said how the call ended";
  const finished =
    item.finished ??
    finishedWith(item.callId, mayHaveBeenMade ? { kind: "in-doubt", problem } : { kind: "cancelled-before" });
  item.finished = finished;
  writer.beginStep(step.step);
  writer.write({ case: "toolCallFinished", value: finished });
}
