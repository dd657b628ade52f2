/** Turns the SDK's shapes into ours. */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Tool } from "@modelcontextprotocol/sdk/types.js";
import type { McpAnswer, McpTool } from "./mcp-connection.ts";
import { isFields, readContent } from "./read-content.ts";

export function readTool(tool: Tool): McpTool {
  const { annotations } = tool;
  return {
    name: tool.name,
    title: tool.title ?? annotations?.title ?? "",
    description: tool.description ?? "",
    inputSchema: tool.inputSchema as JsonObject,
    outputSchema: tool.outputSchema as JsonObject | undefined,
    // The defaults of MCP 2025-11-25, ToolAnnotations.
    hints: {
      readOnly: annotations?.readOnlyHint ?? false,
      destructive: annotations?.destructiveHint ?? true,
      idempotent: annotations?.idempotentHint ?? false,
      openWorld: annotations?.openWorldHint ?? true,
    },
  };
}

/** What a server answered, whatever its shape: see readContent. Throws nothing. */
export function readAnswer(result: unknown): McpAnswer {
  if (!isFields(result)) return { content: readContent(result), structured: undefined, isError: false };
  const { content, structuredContent, toolResult, isError } = result;
  // Servers of 2024-10-07 answer with `toolResult` alone.
  const structured = structuredContent ?? toolResult;
  return {
    content: readContent(content),
    structured: structured === null ? undefined : (structured as JsonValue | undefined),
    isError: isError === true || isError === "true" || isError === 1,
  };
}
