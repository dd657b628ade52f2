/**
 * An answer as the events of the API's stream, and as the message of a call without `stream`.
 *
 * Source: Anthropic's Messages streaming: message_start, then each block as start, deltas, stop, then message_delta
 * with the cumulative usage and the stop reason, then message_stop; one ping after the first block starts.
 */
import type { JsonObject } from "@bufbuild/protobuf";
import type { FakeBlock, FakeUsage } from "../script.ts";
import type { AnswerEvent, ApiEvent } from "./api-event.ts";
import { signThinking } from "./signature.ts";

export interface Answer {
  readonly id: string;
  readonly model: string;
  readonly blocks: readonly FakeBlock[];
  readonly stopReason: string;
  readonly usage: FakeUsage;
}

/** One event on the wire. */
export function frame(data: ApiEvent): string {
  return `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
}

export function startEvent(answer: Pick<Answer, "id" | "model" | "usage">): ApiEvent {
  const message = messageBody(answer, [], null, 1);
  return { type: "message_start", message };
}

export function pingEvent(): ApiEvent {
  return { type: "ping" };
}

export function blockStart(index: number, contentBlock: JsonObject): ApiEvent {
  return { type: "content_block_start", index, content_block: contentBlock };
}

export function blockDelta(index: number, delta: JsonObject): ApiEvent {
  return { type: "content_block_delta", index, delta };
}

export function blockStop(index: number): ApiEvent {
  return { type: "content_block_stop", index };
}

export function endEvents(stopReason: string, usage: FakeUsage, outputTokens: number): ApiEvent[] {
  const delta = { stop_reason: stopReason, stop_sequence: null, stop_details: null };
  return [{ type: "message_delta", delta, usage: { ...usage, output_tokens: outputTokens } }, { type: "message_stop" }];
}

export function answerEvents(answer: Answer): AnswerEvent[] {
  const events: AnswerEvent[] = [plain(startEvent(answer))];
  let outputTokens = 0;
  for (const [index, block] of answer.blocks.entries()) {
    events.push(plain(blockStart(index, emptyBlock(block))));
    if (index === 0) events.push(plain(pingEvent()));
    for (const delta of deltas(block)) {
      outputTokens += 1;
      events.push({ data: blockDelta(index, delta), delta: true });
    }
    if (block.type === "thinking") {
      const signature = block.signature ?? signThinking(block.thinking);
      events.push(plain(blockDelta(index, { type: "signature_delta", signature })));
    }
    events.push(plain(blockStop(index)));
  }
  return [...events, ...endEvents(answer.stopReason, answer.usage, outputTokens).map(plain)];
}

export function answerMessage(answer: Answer): JsonObject {
  const content = answer.blocks.map(fullBlock);
  const outputTokens = answer.blocks.reduce((sum, block) => sum + deltas(block).length, 0);
  return messageBody(answer, content, answer.stopReason, outputTokens);
}

function messageBody(
  { id, model, usage }: Pick<Answer, "id" | "model" | "usage">,
  content: JsonObject[],
  stopReason: string | null,
  outputTokens: number,
): JsonObject {
  return {
    id,
    type: "message",
    role: "assistant",
    model,
    content,
    stop_reason: stopReason,
    stop_sequence: null,
    stop_details: null,
    usage: { ...usage, output_tokens: outputTokens, service_tier: "standard" },
  };
}

function plain(data: ApiEvent): AnswerEvent {
  return { data, delta: false };
}

function emptyBlock(block: FakeBlock): JsonObject {
  switch (block.type) {
    case "text":
      return { type: "text", text: "" };
    case "thinking":
      return { type: "thinking", thinking: "", signature: "" };
    case "redacted_thinking":
      return { ...block };
    case "tool_use":
      return { ...callBlock(block), input: {} };
  }
}

function fullBlock(block: FakeBlock): JsonObject {
  switch (block.type) {
    case "thinking":
      return { ...block, signature: block.signature ?? signThinking(block.thinking) };
    case "tool_use":
      return callBlock(block);
    case "text":
    case "redacted_thinking":
      return { ...block };
  }
}

let calls = 0;

function callBlock(block: Extract<FakeBlock, { type: "tool_use" }>): JsonObject {
  calls += 1;
  const id = block.id ?? `toolu_fake${process.pid.toString(36)}x${calls.toString(36)}`;
  return { type: "tool_use", id, name: block.name, input: block.input };
}

/** Words for text, short pieces that ignore JSON's grammar for a tool's input, as the API does. */
function deltas(block: FakeBlock): JsonObject[] {
  switch (block.type) {
    case "text":
      return words(block.text).map((text) => ({ type: "text_delta", text }));
    case "thinking":
      return words(block.thinking).map((thinking) => ({ type: "thinking_delta", thinking }));
    case "redacted_thinking":
      return [];
    case "tool_use": {
      const json = Object.keys(block.input).length === 0 ? "" : JSON.stringify(block.input);
      const pieces = ["", ...(json.match(/[\s\S]{1,12}/gu) ?? [])];
      return pieces.map((piece) => ({ type: "input_json_delta", partial_json: piece }));
    }
  }
}

function words(text: string): string[] {
  return text.match(/\s*\S+\s*$|\s*\S+/g) ?? (text === "" ? [] : [text]);
}
