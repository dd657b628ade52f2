/**
 * Turns what a tool answered into content that an event can carry.
 *
 * Keeps T6 and L7: at most 256 KiB and 256 blocks travel; text is cut between two characters, and the whole answer goes
 * to the blob store, durable before anything refers to it. Keeps L9: a cut shows as `truncated` and as a file block.
 */
import { create, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type ContentBlock,
  ContentBlockSchema,
  type FileBlockSchema,
  type MediaSourceSchema,
  TextFormat,
} from "../../gen/atoll/content/v1/content_block_pb.ts";
import type { Log } from "../kernel/log.ts";
import type { BlobStore } from "../kernel/store/blob-store.ts";
import type { Scope } from "../kernel/store/scope.ts";
import { findJsonProblem } from "./check-json.ts";
import type { McpAnswer, McpContent } from "./mcp/mcp-connection.ts";

export const maxAnswerBytes = 256 * 1024;
const maxBlocks = 256;
const maxNameLength = 255;

export interface BoundAnswer {
  readonly content: ContentBlock[];
  readonly structured: JsonObject | undefined;
  readonly truncated: boolean;
}

/** Never rejects: when the blob store can't take the whole, the cut answer stands alone and the log says so. */
export async function boundAnswer(answer: McpAnswer, scope: Scope, blobs: BlobStore, log: Log): Promise<BoundAnswer> {
  const blocks = answer.content.flatMap(toBlocks);
  const structuredBytes = sizeOfStructured(answer.structured);
  const bytes = blocks.reduce((sum, block) => sum + sizeOf(block), structuredBytes);
  if (bytes <= maxAnswerBytes && blocks.length <= maxBlocks) {
    return { content: blocks.map(toMessage), structured: answer.structured, truncated: false };
  }
  const kept: Block[] = [];
  let room = maxAnswerBytes;
  for (const block of blocks.slice(0, maxBlocks - 1)) {
    const part = cutTo(block, room);
    if (part === undefined) continue;
    kept.push(part);
    room -= sizeOf(part);
  }
  const content = kept.map(toMessage);
  const whole = await store(answer, scope, blobs, log);
  if (whole !== undefined) content.push(whole);
  return { content, structured: structuredBytes <= room ? answer.structured : undefined, truncated: true };
}

type Media = { readonly bytes: Uint8Array; readonly mediaType: string; readonly fileName: string };
type Block =
  | { readonly kind: "text"; readonly text: string; readonly format: TextFormat }
  | ({ readonly kind: "image" | "audio" | "file" } & Media);

function toBlocks(content: McpContent): Block[] {
  switch (content.kind) {
    case "text":
      return [textBlock(content.text, "")];
    case "image":
    case "audio":
      return [{ kind: content.kind, bytes: content.bytes, mediaType: content.mediaType, fileName: "" }];
    case "resource-text":
      return [textBlock(`Resource ${content.uri}:`, ""), textBlock(content.text, content.mediaType)];
    case "resource-bytes": {
      const fileName = (content.uri.split(/[/\\]/).at(-1) ?? "").slice(0, maxNameLength).toWellFormed();
      return [{ kind: "file", bytes: content.bytes, mediaType: content.mediaType, fileName }];
    }
    case "resource-link": {
      const { name, uri, mediaType, description } = content;
      const kind = mediaType === "" ? "" : ` (${mediaType})`;
      const what = description === "" ? "" : `: ${description}`;
      return [textBlock(`Link to ${name} <${uri}>${kind}${what}`, "")];
    }
  }
}

function textBlock(text: string, mediaType: string): Block {
  const formats: Record<string, TextFormat> = {
    "text/markdown": TextFormat.MARKDOWN,
    "application/json": TextFormat.JSON,
  };
  return { kind: "text", text: text.toWellFormed(), format: formats[mediaType] ?? TextFormat.PLAIN };
}

function sizeOf(block: Block): number {
  return block.kind === "text" ? Buffer.byteLength(block.text) : block.bytes.length;
}

/** Infinite when it can't travel as an object at all: the blob has it then. */
function sizeOfStructured(structured: JsonObject | undefined): number {
  if (structured === undefined) return 0;
  if (findJsonProblem(structured) !== undefined) return Number.POSITIVE_INFINITY;
  return Buffer.byteLength(JSON.stringify(structured));
}

/** What of the block fits: text up to a character's border, media whole or not at all. */
function cutTo(block: Block, roomBytes: number): Block | undefined {
  if (sizeOf(block) <= roomBytes) return block;
  if (block.kind !== "text" || roomBytes === 0) return undefined;
  // A streaming decoder holds back the bytes of a character that is not whole.
  const text = new TextDecoder().decode(Buffer.from(block.text).subarray(0, roomBytes), { stream: true });
  return { ...block, text };
}

function toMessage(block: Block): ContentBlock {
  switch (block.kind) {
    case "text":
      return create(ContentBlockSchema, {
        block: { case: "text", value: { text: block.text, format: block.format } },
      });
    case "image":
    case "audio":
      return create(ContentBlockSchema, { block: { case: block.kind, value: { media: inlineMedia(block) } } });
    case "file":
      return create(ContentBlockSchema, { block: { case: "file", value: { media: inlineMedia(block) } } });
  }
}

function inlineMedia({ bytes, mediaType, fileName }: Media): MessageInitShape<typeof MediaSourceSchema> {
  return { source: { case: "inline", value: bytes }, mediaType, fileName, size: BigInt(bytes.length) };
}

/** The whole answer as one blob: the text itself when it is nothing else, else the answer as JSON. */
async function store(answer: McpAnswer, scope: Scope, blobs: BlobStore, log: Log): Promise<ContentBlock | undefined> {
  const [only] = answer.content;
  const isPlain = answer.content.length === 1 && only?.kind === "text" && answer.structured === undefined;
  const text = isPlain
    ? only.text
    : JSON.stringify({ content: answer.content, structured: answer.structured }, inBase64);
  const mediaType = isPlain ? "text/plain; charset=utf-8" : "application/json";
  try {
    const { sha256, size } = await blobs.put(scope, Buffer.from(text));
    const media: MessageInitShape<typeof FileBlockSchema>["media"] = {
      source: { case: "blob", value: { sha256, size: BigInt(size), mediaType } },
      mediaType,
      size: BigInt(size),
      fileName: isPlain ? "answer.txt" : "answer.json",
    };
    return create(ContentBlockSchema, { block: { case: "file", value: { media } } });
  } catch (error) {
    log.error({ error, bytes: text.length }, "the whole answer of a tool can't be stored; only its beginning is kept");
    return undefined;
  }
}

/** Bytes as base64. A Buffer has turned itself into `{ type, data }` before a replacer sees it, so `this` is asked. */
function inBase64(this: unknown, key: string, value: unknown): unknown {
  const original = (this as Record<string, unknown>)[key];
  return original instanceof Uint8Array ? Buffer.from(original).toString("base64") : value;
}
