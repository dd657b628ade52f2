/**
 * A request in the words of the Messages API.
 *
 * The same conversation gives the same bytes up to where it grew: tools are in order of name, names never depend on
 * what else is listed. Four cache breakpoints, as many as the API allows: tools, instructions, and the last two
 * messages of the user, so that each call reads what the one before it wrote.
 */
import type Anthropic from "@anthropic-ai/sdk";
import type { ImageBlock, ModelBlock, ModelMessage, ModelRequest, ModelTool, TextBlock } from "../model.ts";
import { chooseThinking, type ModelAbilities } from "./choose-thinking.ts";
import { repairHistory } from "./repair-history.ts";
import { toApiName } from "./tool-names.ts";

const imageTypes = ["image/jpeg", "image/png", "image/gif", "image/webp"] as const;
/** Keywords that the API refuses at the top of a tool's schema; the router checks the arguments against all of it. */
const refusedSchemaKeys = ["oneOf", "anyOf", "allOf"];
const cacheControl = { type: "ephemeral" } as const;
const decoder = new TextDecoder();

export interface BodyOptions {
  readonly abilities: ModelAbilities | undefined;
  /** Whether reasoning of earlier answers is sent back. */
  readonly sendThinking: boolean;
}

export function requestBody(request: ModelRequest, options: BodyOptions): Anthropic.MessageCreateParamsStreaming {
  const history = repairHistory(options.sendThinking ? request.messages : request.messages.map(withoutThinking));
  const { maxTokens, thinking } = chooseThinking(
    {
      maxOutputTokens: request.maxOutputTokens,
      thinkingTokens: request.thinkingTokens,
      resumesWithoutThinking: resumesWithoutThinking(history),
    },
    options.abilities,
  );
  return {
    model: request.model,
    max_tokens: maxTokens,
    stream: true,
    messages: messageParams(history),
    ...(request.instructions.trim() === "" ? {} : { system: systemParam(request.instructions) }),
    ...toolSettings(request.tools, history),
    ...(thinking === undefined ? {} : { thinking }),
  };
}

function withoutThinking(message: ModelMessage): ModelMessage {
  return { role: message.role, content: message.content.filter((block) => block.type !== "thinking") };
}

function resumesWithoutThinking(history: readonly ModelMessage[]): boolean {
  const answer = history.findLast((message) => message.role === "assistant");
  const resumes = answer?.content.some((block) => block.type === "tool_use") ?? false;
  return resumes && answer?.content[0]?.type !== "thinking";
}

function systemParam(text: string): Anthropic.TextBlockParam[] {
  return [{ type: "text", text, cache_control: cacheControl }];
}

/** A history with calls needs their tools declared, also when none may be called any more. */
function toolSettings(
  tools: readonly ModelTool[],
  history: readonly ModelMessage[],
): Pick<Anthropic.MessageCreateParamsStreaming, "tools" | "tool_choice"> {
  if (tools.length > 0) return { tools: toolParams(tools) };
  const called = history.flatMap((message) => message.content).filter((block) => block.type === "tool_use");
  const names = [...new Set(called.map((block) => block.tool))];
  if (names.length === 0) return {};
  const declared = names.map((name) => ({ name, description: "Not available any more.", inputSchema: {} }));
  return { tools: toolParams(declared), tool_choice: { type: "none" } };
}

function toolParams(tools: readonly ModelTool[]): Anthropic.Tool[] {
  const sorted = [...tools].sort((a, b) => (a.name < b.name ? -1 : 1));
  return sorted.map((tool, index) => ({
    name: toApiName(tool.name),
    ...(tool.description === "" ? {} : { description: tool.description }),
    input_schema: schemaParam(tool),
    ...(index === sorted.length - 1 ? { cache_control: cacheControl } : {}),
  }));
}

function schemaParam(tool: ModelTool): Anthropic.Tool.InputSchema {
  const entries = Object.entries(tool.inputSchema).filter(([key]) => !refusedSchemaKeys.includes(key));
  return { ...Object.fromEntries(entries), type: "object" };
}

function messageParams(history: readonly ModelMessage[]): Anthropic.MessageParam[] {
  const users = history.filter((message) => message.role === "user");
  const cached = new Set(users.slice(-2));
  return history.map((message) => ({
    role: message.role,
    content: message.content.map((block, index) => {
      const marked = cached.has(message) && index === message.content.length - 1;
      return marked ? { ...blockParam(block), cache_control: cacheControl } : blockParam(block);
    }),
  }));
}

function blockParam(block: ModelBlock): Anthropic.ContentBlockParam {
  switch (block.type) {
    case "text":
      return { type: "text", text: block.text };
    case "image":
      return imageParam(block);
    case "thinking": {
      const signature = decoder.decode(block.signature);
      return block.redacted
        ? { type: "redacted_thinking", data: signature }
        : { type: "thinking", thinking: block.text, signature };
    }
    case "tool_use":
      return { type: "tool_use", id: callIdParam(block.callId), name: toApiName(block.tool), input: block.arguments };
    case "tool_result":
      return {
        type: "tool_result",
        tool_use_id: callIdParam(block.callId),
        content: block.content.filter(hasContent).map((part) => (part.type === "image" ? imageParam(part) : part)),
        is_error: block.isError,
      };
  }
}

function hasContent(block: TextBlock | ImageBlock): boolean {
  return block.type === "image" || block.text.trim() !== "";
}

function imageParam(block: ImageBlock): Anthropic.ImageBlockParam | Anthropic.TextBlockParam {
  const mediaType = imageTypes.find((type) => type === block.mediaType);
  if (mediaType === undefined) return { type: "text", text: `(An image of type ${block.mediaType} can't be shown.)` };
  const data = Buffer.from(block.bytes).toString("base64");
  return { type: "image", source: { type: "base64", media_type: mediaType, data } };
}

function callIdParam(callId: string): string {
  return callId.replace(/[^a-zA-Z0-9_-]/g, "_");
}
