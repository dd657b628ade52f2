/**
 * Reads the content of an MCP answer as leniently as it can be read.
 *
 * Keeps F1: what is readable is read; a block that is not, or not wholly, is named in a sentence in its place, so that
 * it costs itself alone. Keeps L9: no block is passed over in silence. Throws nothing, whatever the server sent.
 */
import { countBytes } from "../../../kernel/content/count-bytes.ts";
import { decodeBase64 } from "../../../kernel/content/decode-base64.ts";
import type { McpContent } from "../mcp-connection.ts";

/** Characters of a name, an address or a media type that a server made up. */
const maxNameLength = 255;

type Fields = Readonly<Record<string, unknown>>;

/** Of anything: a list of blocks, one block, a text, or nothing. */
export function readContent(content: unknown): McpContent[] {
  if (content === undefined || content === null) return [];
  return (Array.isArray(content) ? content : [content]).flatMap(readBlock);
}

function readBlock(block: unknown): McpContent[] {
  if (typeof block === "string") return [{ kind: "text", text: block }];
  if (Array.isArray(block)) return [note(`a block that is a list, ${sizeOf(block)}`)];
  if (!isFields(block)) return [note(`a block that is ${JSON.stringify(block)}`)];
  switch (block["type"]) {
    case "text":
      return readText(block);
    case "image":
    case "audio":
      return readMedia(block, block["type"]);
    case "resource":
      return readResource(block);
    case "resource_link":
      return readLink(block);
    default:
      return readUnknown(block);
  }
}

function readText({ text }: Fields): McpContent[] {
  if (typeof text === "string") return [{ kind: "text", text }];
  if (text === undefined || text === null) return [note('a block of type "text" without text')];
  const json = toJson(text);
  return [json === undefined ? note(`a text that is ${sizeOf(text)}`) : { kind: "text", text: json }];
}

/** A picture or sound; some servers nest it as model APIs do, in `source`. */
function readMedia(block: Fields, type: "image" | "audio"): McpContent[] {
  const from = isFields(block["source"]) ? { ...block["source"], ...block } : block;
  const { data } = from;
  const mediaType = nameOf(from["mimeType"] ?? from["mime_type"] ?? from["media_type"]);
  if (typeof data !== "string") return [note(`a block of type "${type}" without data`)];
  const bytes = decodeBase64(data);
  if (bytes !== undefined) return [{ kind: type, bytes, mediaType }];
  return [note(`a block of type "${type}" that can't be shown: its ${countBytes(data.length)} are not base64`)];
}

function readResource(block: Fields): McpContent[] {
  const resource = block["resource"];
  if (!isFields(resource)) return [note('a block of type "resource" without a resource')];
  const { text, blob } = resource;
  const uri = nameOf(resource["uri"]);
  const mediaType = nameOf(resource["mimeType"]);
  const read: McpContent[] = [];
  if (typeof text === "string") read.push({ kind: "resource-text", uri, text, mediaType });
  if (typeof blob === "string") {
    const bytes = decodeBase64(blob);
    const isTheSame = typeof text === "string" && bytes !== undefined && Buffer.from(text).equals(bytes);
    if (bytes === undefined) read.push(note(`a resource ${uri} whose ${countBytes(blob.length)} are not base64`));
    else if (!isTheSame) read.push({ kind: "resource-bytes", uri, bytes, mediaType });
  }
  return read.length > 0 ? read : [note(`a resource ${uri} without text and without bytes`)];
}

function readLink(block: Fields): McpContent[] {
  const uri = nameOf(block["uri"]);
  const name = nameOf(block["title"]) || nameOf(block["name"]) || uri;
  if (name === "") return [note("a link to a resource without an address")];
  const description = typeof block["description"] === "string" ? block["description"] : "";
  return [{ kind: "resource-link", uri, name, description, mediaType: nameOf(block["mimeType"]) }];
}

/** A block of a type of its own, or of none: its text is read when it has one. */
function readUnknown(block: Fields): McpContent[] {
  const { type, text, data } = block;
  if (type === undefined || type === null) {
    if (typeof text === "string") return readText(block);
    if (typeof data === "string") return readMedia(block, "image");
    if (isFields(block["resource"])) return readResource(block);
  }
  const shown = `a block of type ${JSON.stringify(nameOf(type))}`;
  if (typeof text === "string") return [note(shown), { kind: "text", text }];
  return [note(`${shown} that can't be shown, ${sizeOf(block)}`)];
}

function note(text: string): McpContent {
  return { kind: "note", text: `(${text})` };
}

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A short text of the server's; empty when it is none. */
function nameOf(value: unknown): string {
  return typeof value === "string" ? value.slice(0, maxNameLength).toWellFormed() : "";
}

function sizeOf(value: unknown): string {
  const json = toJson(value);
  return json === undefined ? "nested too deeply to be read" : countBytes(Buffer.byteLength(json));
}

/** Undefined when it is nested too deeply to be written. */
export function toJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}
