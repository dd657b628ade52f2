/** Turns the SDK's shapes into ours. */
import type { JsonValue } from "@bufbuild/protobuf";
import type { McpAnswer } from "../mcp-connection.ts";
import { isFields, readContent } from "./read-content.ts";

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
