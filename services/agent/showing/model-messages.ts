/** Turns a conversation into the messages of a model call, the newest ones up to the agent's bound. The log keeps all. */

import type { JsonObject } from "@bufbuild/protobuf";
import type { ContentBlock } from "../../../gen/atoll/content/v1/content_block_pb.ts";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import { readArguments } from "../../kernel/json/read-arguments.ts";
import {
  type Conversation,
  type ConversationRun,
  type Step,
  type StepItem,
  succeeded,
} from "../memory/conversation.ts";
import type { ImageBlock, ModelBlock, ModelMessage, TextBlock, ToolResultBlock } from "../models/model.ts";
import { fitPictures } from "./fit-pictures.ts";
import { type Shown, showContent } from "./show-content.ts";

/**
 * The newest run, and the runs before it that have no more than `maxMessages` together with it. A run is shown whole or
 * not at all, so that a tool call stays with its result and a run knows its own steps; the newest one is shown also when
 * it alone has more.
 *
 * @param maxMessages What counts is what people said, steering included, and one answer a run; tool calls and results
 * belong to the answer.
 */
export function toModelMessages({ runs }: Conversation, maxMessages: number): ModelMessage[] {
  let first = runs.length;
  let count = 0;
  for (const run of runs.toReversed()) {
    count += countMessages(run);
    if (count > maxMessages && first < runs.length) break;
    first -= 1;
  }
  return fitPictures(runs.slice(first).flatMap((run) => [...askedOf(run), ...run.steps.flatMap(stepMessages)]));
}

function countMessages({ messages, steps }: ConversationRun): number {
  return messages.length + steps.reduce((sum, { read }) => sum + read.length, Math.min(steps.length, 1));
}

function askedOf(run: ConversationRun): ModelMessage[] {
  return run.messages.map(toUserMessage).filter(isSaid);
}

/** What the step read, what the model said then, and what its tools answered. */
function stepMessages(step: Step): ModelMessage[] {
  return [...step.read.map(({ content }) => toUserMessage(content)), ...spokenIn(step)].filter(isSaid);
}

function toUserMessage(content: readonly ContentBlock[]): ModelMessage {
  const shown = content.flatMap(showContent);
  return { role: "user", content: shown.length > 0 ? shown : [{ type: "text", text: "(an empty message)" }] };
}

function isSaid({ content }: ModelMessage): boolean {
  return content.length > 0;
}

function spokenIn(step: Step): ModelMessage[] {
  const said: ModelBlock[] = [];
  const results: ToolResultBlock[] = [];
  const pictures: ImageBlock[] = [];
  for (const item of step.items) {
    if (item.kind === "call") {
      said.push({ type: "tool_use", callId: item.callId, tool: item.tool, arguments: argumentsOf(item.argumentsJson) });
      if (item.finished !== undefined) results.push(resultOf(item.callId, item.finished, pictures));
    } else if (item.block === "text") {
      if (item.text !== "") said.push({ type: "text", text: item.text });
    } else if (item.completed) {
      // Reasoning that was cut short has no signature, and its maker would refuse it.
      said.push({ type: "thinking", text: item.text, signature: item.signature, redacted: item.redacted });
    }
  }
  return [
    { role: "assistant", content: said },
    { role: "user", content: [...results, ...pictures] },
  ];
}

/** What the log has is what was checked before it was written; an older log may have nothing. */
function argumentsOf(argumentsJson: string): JsonObject {
  const read = readArguments(argumentsJson);
  return read.kind === "read" ? read.value : {};
}

type Finished = NonNullable<Extract<StepItem, { kind: "call" }>["finished"]>;

/** Model APIs take no pictures in the result of a failed call: they stand behind all results, and it says which they are. */
function resultOf(callId: string, finished: Finished, behind: ImageBlock[]): ToolResultBlock {
  const shown = resultContent(finished);
  const isError = !succeeded(finished);
  const apart = isError ? shown.filter((block) => block.type === "image") : [];
  if (apart.length === 0) return { type: "tool_result", callId, content: shown, isError };
  const content = shown.map((block): TextBlock => {
    if (block.type === "text") return block;
    behind.push(block);
    return { type: "text", text: `(a picture: number ${behind.length} of those behind the results)` };
  });
  return { type: "tool_result", callId, content, isError };
}

function resultContent(finished: Finished): Shown[] {
  const content = finished.content.flatMap(showContent);
  if (finished.message !== "") content.push({ type: "text", text: finished.message });
  if (content.length === 0) content.push({ type: "text", text: outcomeText[finished.outcome] ?? endedText });
  if (finished.truncated) content.push({ type: "text", text: "(The answer was longer: it was cut here.)" });
  return content;
}

const endedText = "The tool ended without an answer.";
const outcomeText: Readonly<Record<number, string>> = {
  [ToolOutcome.SUCCEEDED]: "The tool succeeded without output.",
  [ToolOutcome.FAILED]: "The tool failed without output.",
  [ToolOutcome.REFUSED]: "The call was refused; it had no effect.",
  [ToolOutcome.DENIED]: "A person denied the call; it had no effect.",
  [ToolOutcome.CANCELLED]: "The call was cancelled.",
  [ToolOutcome.TIMED_OUT]: "The tool did not answer in time; it may have had its effect.",
  [ToolOutcome.UNKNOWN]:
    "It is not known whether the call had its effect: something failed in between. Check before you call it again.",
};
