/**
 * Makes any conversation one that the Messages API takes, and says in the conversation itself what was mended (L9).
 *
 * Afterwards: roles alternate, the first and the last message are the user's, no message is empty, no text is blank,
 * every call is answered in the very next message, results come first there, and no result lacks its call. What is
 * right already stays untouched, so that a growing conversation keeps its prefix.
 */
import type { ModelBlock, ModelMessage, ToolResultBlock, ToolUseBlock } from "../model.ts";

export const missingResultText = "No result of this call was recorded: it may or may not have had its effect.";
const emptyMessageText = "(empty message)";
const trimmedText = "(Earlier messages are not shown.)";
const continueText = "Please continue.";

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
  const content = message.content.filter((block) => isSendable(block, message.role));
  while (content.at(-1)?.type === "thinking") content.pop();
  // A person's blank message still is one; a blank answer is nothing.
  if (content.length === 0 && message.role === "user") return userText(emptyMessageText);
  return { role: message.role, content };
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
      results.set(block.callId, block);
    } else rest.push(...orphanResult(block));
  }
  return { role: "user", content: [...calls.map((call) => results.get(call.callId) ?? missingResult(call)), ...rest] };
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
