/**
 * A request in the words of the Messages API.
 *
 * The same conversation gives the same bytes up to where it grew: tools are in order of name, names never depend on
 * what else is listed. Four cache breakpoints, as many as the API allows: tools, instructions, and the last two
 * messages of the user, so that each call reads what the one before it wrote.
 */
import type Anthropic from "@anthropic-ai/sdk";
import type { JsonObject } from "@bufbuild/protobuf";
import type { ImageBlock, ModelBlock, ModelMessage, ModelRequest, ModelTool } from "../../model.ts";
import type { AnswerNames } from "../answer/end-block.ts";
import { chooseThinking } from "./choose-thinking.ts";
import type { ModelAbilities } from "./known-abilities.ts";
import { legalPropertyNames, type PropertyNames } from "./property-names.ts";
import { repairHistory } from "./repair-history.ts";
import { toApiName, toolNameReader } from "./tool-names.ts";

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

/** A request, and what the places in it stand for, so that an answer that names one can be understood. */
export interface PreparedRequest {
  readonly body: Anthropic.MessageCreateParamsStreaming;
  /** The messages of the body, block by block. */
  readonly history: readonly ModelMessage[];
  /** The tools of the body, by name. */
  readonly tools: readonly ModelTool[];
  readonly names: AnswerNames;
}

export function prepareRequest(request: ModelRequest, options: BodyOptions): PreparedRequest {
  const history = repairHistory(options.sendThinking ? request.messages : request.messages.map(withoutThinking));
  const { maxTokens, thinking } = chooseThinking(
    {
      maxOutputTokens: request.maxOutputTokens,
      thinkingTokens: request.thinkingTokens,
      resumesWithoutThinking: resumesWithoutThinking(history),
    },
    options.abilities,
  );
  const { tools, isCallable } = declaredTools(request.tools, history);
  const properties = new Map(tools.map((tool) => [tool.name, legalPropertyNames(tool.inputSchema)]));
  const toolName = toolNameReader(request.tools);
  return {
    body: {
      model: request.model,
      max_tokens: maxTokens,
      stream: true,
      messages: messageParams(history, properties),
      ...(request.instructions.trim() === "" ? {} : { system: systemParam(request.instructions.toWellFormed()) }),
      ...(tools.length === 0 ? {} : { tools: toolParams(tools, properties) }),
      ...(isCallable ? {} : { tool_choice: { type: "none" } }),
      ...(thinking === undefined ? {} : { thinking }),
    },
    history,
    tools,
    names: {
      toolName,
      toolArguments: (apiName, args) => properties.get(toolName(apiName))?.fromApi(args) ?? args,
    },
  };
}

type ToolProperties = ReadonlyMap<string, PropertyNames>;

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

/** In order of name. A history with calls needs their tools declared, also when none may be called any more. */
function declaredTools(
  tools: readonly ModelTool[],
  history: readonly ModelMessage[],
): { readonly tools: readonly ModelTool[]; readonly isCallable: boolean } {
  const byName = (a: ModelTool, b: ModelTool): number => (a.name < b.name ? -1 : 1);
  if (tools.length > 0) {
    const once = new Map(tools.map((tool) => [tool.name, tool]));
    return { tools: [...once.values()].sort(byName), isCallable: true };
  }
  const called = history.flatMap((message) => message.content).filter((block) => block.type === "tool_use");
  const names = [...new Set(called.map((block) => block.tool))];
  const declared = names.map((name) => ({ name, description: "Not available any more.", inputSchema: {} }));
  return { tools: declared.sort(byName), isCallable: names.length === 0 };
}

function toolParams(tools: readonly ModelTool[], properties: ToolProperties): Anthropic.Tool[] {
  return tools.map((tool, index) => ({
    name: toApiName(tool.name),
    ...describeTool(tool),
    input_schema: schemaParam(properties.get(tool.name)?.schema ?? tool.inputSchema),
    ...(index === tools.length - 1 ? { cache_control: cacheControl } : {}),
  }));
}

/** A name that can't be read back from the API's is said in words. */
function describeTool({ name, description }: ModelTool): Pick<Anthropic.Tool, "description"> {
  const isReadable = toApiName(name) === name.replace(".", "__");
  const named = isReadable ? "" : `The tool is called ${JSON.stringify(name)}. `;
  const text = `${named}${description}`.toWellFormed();
  return text === "" ? {} : { description: text };
}

function schemaParam(schema: JsonObject): Anthropic.Tool.InputSchema {
  const entries = Object.entries(schema).filter(([key]) => !refusedSchemaKeys.includes(key));
  return { ...Object.fromEntries(entries), type: "object" };
}

function messageParams(history: readonly ModelMessage[], properties: ToolProperties): Anthropic.MessageParam[] {
  const users = history.filter((message) => message.role === "user");
  const cached = new Set(users.slice(-2));
  return history.map((message) => ({
    role: message.role,
    content: message.content.map((block, index) => {
      const marked = cached.has(message) && index === message.content.length - 1;
      return marked ? { ...blockParam(block, properties), cache_control: cacheControl } : blockParam(block, properties);
    }),
  }));
}

function blockParam(block: ModelBlock, properties: ToolProperties): Anthropic.ContentBlockParam {
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
    case "tool_use": {
      const input = properties.get(block.tool)?.toApi(block.arguments) ?? block.arguments;
      return { type: "tool_use", id: callIdParam(block.callId), name: toApiName(block.tool), input };
    }
    case "tool_result":
      return {
        type: "tool_result",
        tool_use_id: callIdParam(block.callId),
        content: block.content.map((part) => (part.type === "image" ? imageParam(part) : part)),
        is_error: block.isError,
      };
  }
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
