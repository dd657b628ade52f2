/** Turns the SDK's shapes into ours. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { CallToolResult, ContentBlock } from "@modelcontextprotocol/sdk/types.js";
import type { McpAnswer, McpContent } from "./mcp-connection.ts";

const unknownBytes = "application/octet-stream";

export function readAnswer(result: CallToolResult): McpAnswer {
  return {
    content: result.content.map(readContent),
    structured: result.structuredContent as JsonObject | undefined,
    isError: result.isError === true,
  };
}

function readContent(block: ContentBlock): McpContent {
  switch (block.type) {
    case "text":
      return { kind: "text", text: block.text };
    case "image":
    case "audio":
      return { kind: block.type, bytes: Buffer.from(block.data, "base64"), mediaType: block.mimeType };
    case "resource": {
      const { resource } = block;
      const { uri, mimeType } = resource;
      if ("text" in resource) return { kind: "resource-text", uri, text: resource.text, mediaType: mimeType ?? "" };
      const bytes = Buffer.from(resource.blob, "base64");
      return { kind: "resource-bytes", uri, bytes, mediaType: mimeType ?? unknownBytes };
    }
    case "resource_link": {
      const { uri, description, mimeType } = block;
      const name = block.title ?? block.name;
      return { kind: "resource-link", uri, name, description: description ?? "", mediaType: mimeType ?? "" };
    }
  }
}
