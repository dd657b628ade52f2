/** Test support: one call of a model, gathered. */
import type { JsonObject } from "@bufbuild/protobuf";
import {
  type Model,
  type ModelBlock,
  type ModelMessage,
  type ModelPart,
  type ModelRequest,
  type ModelTool,
  mostMendings,
} from "./model.ts";

export interface Gathered {
  readonly parts: readonly ModelPart[];
  readonly text: string;
  readonly thinking: string;
  readonly calls: readonly { readonly callId: string; readonly tool: string; readonly arguments: JsonObject }[];
  readonly stop: string;
}

export function requestOf(words: string | readonly ModelMessage[], more: Partial<ModelRequest> = {}): ModelRequest {
  return {
    model: "claude-haiku-4-5",
    instructions: "",
    messages: typeof words === "string" ? [user(words)] : words,
    tools: [],
    maxOutputTokens: 4096,
    thinkingTokens: 0,
    signal: new AbortController().signal,
    mending: { left: mostMendings },
    traceId: "0af7651916cd43dd8448eb211c80319c",
    ...more,
  };
}

export function user(...content: readonly (string | ModelBlock)[]): ModelMessage {
  return { role: "user", content: content.map(block) };
}

export function assistant(...content: readonly (string | ModelBlock)[]): ModelMessage {
  return { role: "assistant", content: content.map(block) };
}

export function call(callId: string, tool: string, args: JsonObject = {}): ModelBlock {
  return { type: "tool_use", callId, tool, arguments: args };
}

export function result(callId: string, text: string, isError = false): ModelBlock {
  return { type: "tool_result", callId, content: [{ type: "text", text }], isError };
}

export function tool(
  name: string,
  properties: JsonObject = {},
  required: readonly string[] = [],
  description = "",
): ModelTool {
  return { name, description, inputSchema: { type: "object", properties, required: [...required] } };
}

export async function gather(model: Model, request: ModelRequest): Promise<Gathered> {
  const parts: ModelPart[] = [];
  for await (const part of model.stream(request)) parts.push(part);
  return readParts(parts);
}

export function readParts(parts: readonly ModelPart[]): Gathered {
  let text = "";
  let thinking = "";
  let stop = "";
  const calls: { callId: string; tool: string; arguments: JsonObject }[] = [];
  for (const part of parts) {
    if (part.kind === "text") text += part.text;
    if (part.kind === "thinking") thinking += part.text;
    if (part.kind === "stop") stop = part.reason;
    if (part.kind === "block-start" && part.block === "tool_use") {
      calls.push({ callId: part.callId, tool: part.tool, arguments: {} });
    }
    const last = calls.at(-1);
    if (part.kind === "block-stop" && part.block === "tool_use" && last !== undefined) last.arguments = part.arguments;
  }
  return { parts, text, thinking, calls, stop };
}

function block(content: string | ModelBlock): ModelBlock {
  return typeof content === "string" ? { type: "text", text: content } : content;
}
