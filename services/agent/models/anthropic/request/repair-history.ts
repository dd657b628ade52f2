/**
 * Makes any conversation one that the Messages API takes, and says in the conversation itself what was mended (L9).
 *
 * Afterwards: roles alternate, the first and the last message are the user's, no message is empty, no text is blank,
 * every call is answered in the very next message, results come first there, no result lacks its call, a failed one has
 * its pictures behind the results (the API takes text alone in it), and no text has half a surrogate pair. What is right
 * already stays untouched, so that a growing conversation keeps its prefix.
 */
import type { ImageBlock, ModelBlock, ModelMessage, TextBlock, ToolResultBlock, ToolUseBlock } from "../../model.ts";
import { wellFormedJson } from "./well-formed.ts";

export const missingResultText = "No result of this call was recorded: it may or may not have had its effect.";
const emptyMessageText = "(empty message)";
const trimmedText = "(Earlier messages are not shown.)";
const continueText = "Please continue.";
const pictureBehindText = "(The picture of this answer stands behind the results.)";

export function repairHistory(messages: readonly ModelMessage[]): ModelMessage[] {
  const sent = withoutRepeatedCalls(messages).map(sendable);
  const turns = mergeNeighbours(sent.filter((message) => message.content.length > 0));
  if (turns[0]?.role !== "user") turns.unshift(userText(messages.length > 0 ? trimmedText : emptyMessageText));
  const repaired = pairCalls(turns);
  if (repaired.at(-1)?.role !== "user") repaired.push(userText(continueText));
  return repaired;
}

/** Without what the API refuses: blank text, reasoning that nobody signed, reasoning at the end of an answer. */
function sendable(message: ModelMessage): ModelMessage {
  const content = message.content.filter((block) => isSendable(block, message.role)).map(wellFormed);
  while (content.at(-1)?.type === "thinking") content.pop();
  // A person's blank message still is one; a blank answer is nothing.
  if (content.length === 0 && message.role === "user") return userText(emptyMessageText);
  return { role: message.role, content };
}

function wellFormed(block: ModelBlock): ModelBlock {
  switch (block.type) {
    case "text":
      return wellFormedText(block);
    case "tool_use": {
      const mended = wellFormedJson(block.arguments);
      return mended === block.arguments ? block : { ...block, arguments: mended };
    }
    case "tool_result": {
      const isSound = block.content.every((part) => part.type !== "text" || part.text.isWellFormed());
      const said = block.content.filter((part) => part.type !== "text" || part.text.trim() !== "");
      return isSound && said.length === block.content.length ? block : { ...block, content: said.map(wellFormedText) };
    }
    case "image":
    case "thinking":
      return block;
  }
}

function wellFormedText<Part extends TextBlock | ImageBlock>(part: Part): Part {
  return part.type === "text" && !part.text.isWellFormed() ? { ...part, text: part.text.toWellFormed() } : part;
}

function isSendable(block: ModelBlock, role: ModelMessage["role"]): boolean {
  switch (block.type) {
    case "text":
      return block.text.trim() !== "";
    case "thinking":
      return role === "assistant" && block.signature.length > 0;
    case "tool_use":
      return role === "assistant";
    case "image":
    case "tool_result":
      return role === "user";
  }
}

function mergeNeighbours(messages: readonly ModelMessage[]): ModelMessage[] {
  const merged: ModelMessage[] = [];
  for (const message of messages) {
    const last = merged.at(-1);
    if (last?.role === message.role) {
      merged[merged.length - 1] = { role: last.role, content: [...last.content, ...message.content] };
    } else merged.push(message);
  }
  return merged;
}

/** The same call can appear twice after a takeover; the API allows an id only once. */
function withoutRepeatedCalls(messages: readonly ModelMessage[]): ModelMessage[] {
  const seen = new Set<string>();
  const isFirst = (block: ModelBlock): boolean => {
    if (block.type !== "tool_use") return true;
    const first = !seen.has(block.callId);
    seen.add(block.callId);
    return first;
  };
  return messages.map(({ role, content }) => ({ role, content: content.filter(isFirst) }));
}

function pairCalls(turns: readonly ModelMessage[]): ModelMessage[] {
  const paired: ModelMessage[] = [];
  let open: readonly ToolUseBlock[] = [];
  for (const turn of turns) {
    paired.push(turn.role === "user" ? answerCalls(open, turn) : turn);
    open = turn.role === "user" ? [] : turn.content.filter((block) => block.type === "tool_use");
  }
  if (open.length > 0) paired.push(answerCalls(open, { role: "user", content: [] }));
  return paired;
}

function answerCalls(calls: readonly ToolUseBlock[], turn: ModelMessage): ModelMessage {
  const results = new Map<string, ToolResultBlock>();
  const rest: ModelBlock[] = [];
  for (const block of turn.content) {
    if (block.type !== "tool_result") rest.push(block);
    else if (calls.some((call) => call.callId === block.callId) && !results.has(block.callId)) {
      const pictures = block.isError ? block.content.filter((part) => part.type === "image") : [];
      results.set(block.callId, pictures.length === 0 ? block : withoutPictures(block));
      rest.push(...pictures);
    } else rest.push(...orphanResult(block));
  }
  return { role: "user", content: [...calls.map((call) => results.get(call.callId) ?? missingResult(call)), ...rest] };
}

function withoutPictures(result: ToolResultBlock): ToolResultBlock {
  const texts = result.content.filter((part) => part.type === "text" && part.text.trim() !== "");
  const content = texts.length > 0 ? texts : [{ type: "text" as const, text: pictureBehindText }];
  return { ...result, content };
}

function missingResult(call: ToolUseBlock): ToolResultBlock {
  const text = { type: "text" as const, text: missingResultText };
  return { type: "tool_result", callId: call.callId, content: [text], isError: true };
}

function orphanResult(result: ToolResultBlock): ModelBlock[] {
  const intro = result.isError ? "An earlier tool call failed:" : "Result of an earlier tool call:";
  return [{ type: "text", text: intro }, ...result.content.filter((block) => isSendable(block, "user"))];
}

function userText(text: string): ModelMessage {
  return { role: "user", content: [{ type: "text", text }] };
}
