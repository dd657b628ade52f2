/**
 * Turns what a tool answered into content that an event can carry.
 *
 * Keeps T6 and L7: text has a bound, media another, and all together fit a message of 4 MiB with what is around them.
 * Text is cut between two characters and the whole answer goes to the blob store; media that do not fit are blobs of
 * their own. A blob is durable before anything refers to it. Keeps L9: a cut shows as `truncated`, as a file block or as a
 * sentence in the place of what is missing.
 */
import { create, type JsonValue, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type ContentBlock,
  ContentBlockSchema,
  type FileBlockSchema,
  type MediaSourceSchema,
} from "../../../gen/atoll/content/v1/content_block_pb.ts";
import { countBytes } from "../../kernel/content/count-bytes.ts";
import { maxPictureBytes } from "../../kernel/content/read-picture.ts";
import { canonicalJson } from "../../kernel/json/canonical-json.ts";
import type { Log } from "../../kernel/log.ts";
import type { BlobStore } from "../../kernel/store/blob-store.ts";
import type { Scope } from "../../kernel/store/scope.ts";
import { findJsonProblem } from "../check-json.ts";
import type { McpAnswer } from "../mcp/mcp-connection.ts";
import { type AnswerPart, answerParts, isObject, type MediaPart } from "./answer-parts.ts";

/** Of all text of an answer, and of its object, each; and of media that are no pictures, together. */
export const maxAnswerBytes = 256 * 1024;
const maxBlocks = 256;
/** Of everything that travels: one picture of the largest size and all the text, with room for what is around them. */
const maxTravelBytes = maxPictureBytes + maxAnswerBytes + 32 * 1024;
/** What a block weighs beside its bytes. */
const blockBytes = 64;
const maxTypeLength = 255;

export interface BoundAnswer {
  readonly content: ContentBlock[];
  /** Canonical JSON; empty for none. */
  readonly structuredJson: string;
  readonly truncated: boolean;
}

interface BoundParts {
  readonly scope: Scope;
  readonly blobs: BlobStore;
  readonly log: Log;
}

/** Never rejects: what the blob store can't take is named in a sentence, and the log says why. */
export async function boundAnswer(answer: McpAnswer, scope: Scope, blobs: BlobStore, log: Log): Promise<BoundAnswer> {
  const to: BoundParts = { scope, blobs, log };
  const parts = answerParts(answer);
  const room = { text: maxAnswerBytes, otherMedia: maxAnswerBytes, travel: maxTravelBytes };
  const content: ContentBlock[] = [];
  // One place is kept for the whole answer, and one for a sentence.
  const isCounted = parts.length > maxBlocks;
  const kept = isCounted ? parts.slice(0, maxBlocks - 2) : parts;
  // Text first, wherever it stands: a picture may be a blob, text that is not there can't be read.
  room.travel -= Math.min(room.text, textBytesOf(kept)) + kept.length * blockBytes;
  let isCut = isCounted;
  for (const part of kept) {
    if (part.kind === "text") {
      const text = cutText(part.text, room.text);
      isCut ||= text.length < part.text.length;
      room.text -= Buffer.byteLength(text);
      if (text !== "" || part.text === "") content.push(textBlock({ ...part, text }));
      continue;
    }
    const size = part.bytes.length + Buffer.byteLength(part.fileName) + Buffer.byteLength(part.mediaType);
    const ofKind = part.kind === "image" ? maxPictureBytes : room.otherMedia;
    if (size <= Math.min(ofKind, room.travel)) {
      room.travel -= size;
      if (part.kind !== "image") room.otherMedia -= size;
      content.push(mediaBlock(part, { case: "inline", value: part.bytes }));
    } else content.push(await keepApart(to, part));
  }
  if (isCounted) content.push(sentence(`${countParts(parts.length - kept.length)} left out here`));
  const structuredJson = travelling(answer.structured, Math.min(maxAnswerBytes, room.travel));
  if (isCut || (isObject(answer.structured) && structuredJson === "")) {
    const whole = await keepWhole(to, answer);
    if (whole !== undefined) content.push(whole);
    return { content, structuredJson, truncated: true };
  }
  return { content, structuredJson, truncated: false };
}

function textBytesOf(parts: readonly AnswerPart[]): number {
  return parts.reduce((sum, part) => sum + (part.kind === "text" ? Buffer.byteLength(part.text) : 0), 0);
}

/** The object as text when every reader can take it and it fits; else empty. */
function travelling(structured: JsonValue | undefined, roomBytes: number): string {
  if (!isObject(structured) || findJsonProblem(structured) !== undefined) return "";
  const text = canonicalJson(structured);
  return Buffer.byteLength(text) <= roomBytes ? text : "";
}

/** The longest beginning of so many bytes that ends between two characters. */
function cutText(text: string, roomBytes: number): string {
  if (Buffer.byteLength(text) <= roomBytes) return text;
  // A streaming decoder holds back the bytes of a character that is not whole.
  return new TextDecoder().decode(Buffer.from(text).subarray(0, Math.max(0, roomBytes)), { stream: true });
}

function textBlock({ text, format }: Extract<AnswerPart, { kind: "text" }>): ContentBlock {
  return create(ContentBlockSchema, { block: { case: "text", value: { text, format } } });
}

function sentence(text: string): ContentBlock {
  return create(ContentBlockSchema, { block: { case: "text", value: { text: `(${text})` } } });
}

function countParts(parts: number): string {
  return parts === 1 ? "1 more block is" : `${parts} more blocks are`;
}

function mediaBlock(part: MediaPart, source: MessageInitShape<typeof MediaSourceSchema>["source"]): ContentBlock {
  const { kind, bytes, fileName, widthPx, heightPx } = part;
  const mediaType = part.mediaType.slice(0, maxTypeLength);
  const media = { ...(source === undefined ? {} : { source }), mediaType, fileName, size: BigInt(bytes.length) };
  switch (kind) {
    case "image":
    case "video":
      return create(ContentBlockSchema, { block: { case: kind, value: { media, widthPx, heightPx } } });
    case "audio":
      return create(ContentBlockSchema, { block: { case: kind, value: { media } } });
    case "file":
      return create(ContentBlockSchema, { block: { case: kind, value: { media } } });
  }
}

/** Media that do not fit the message, as a blob; a sentence when it can't be stored. */
async function keepApart({ scope, blobs, log }: BoundParts, part: MediaPart): Promise<ContentBlock> {
  try {
    const { sha256, size } = await blobs.put(scope, part.bytes);
    return mediaBlock(part, {
      case: "blob",
      value: {
        $typeName: "atoll.content.v1.BlobRef",
        sha256,
        size: BigInt(size),
        mediaType: part.mediaType.slice(0, maxTypeLength),
      },
    });
  } catch (error) {
    log.error({ error, bytes: part.bytes.length }, "media of a tool's answer can't be stored; they are only named");
    return sentence(`media of type ${part.mediaType}, ${countBytes(part.bytes.length)}, that could not be kept`);
  }
}

/** The whole answer as one blob: the text itself when it is nothing else, else the answer as JSON. */
async function keepWhole({ scope, blobs, log }: BoundParts, answer: McpAnswer): Promise<ContentBlock | undefined> {
  const [only] = answer.content;
  const isPlain = answer.content.length === 1 && only?.kind === "text" && answer.structured === undefined;
  const mediaType = isPlain ? "text/plain; charset=utf-8" : "application/json";
  try {
    const text = isPlain
      ? only.text
      : JSON.stringify({ content: answer.content, structured: answer.structured }, inBase64);
    const { sha256, size } = await blobs.put(scope, Buffer.from(text));
    const media: MessageInitShape<typeof FileBlockSchema>["media"] = {
      source: { case: "blob", value: { sha256, size: BigInt(size), mediaType } },
      mediaType,
      size: BigInt(size),
      fileName: isPlain ? "answer.txt" : "answer.json",
    };
    return create(ContentBlockSchema, { block: { case: "file", value: { media } } });
  } catch (error) {
    log.error({ error }, "the whole answer of a tool can't be stored; only its beginning is kept");
    return sentence("the rest of the answer could not be kept");
  }
}

/** Bytes as base64. A Buffer has turned itself into `{ type, data }` before a replacer sees it, so `this` is asked. */
function inBase64(this: unknown, key: string, value: unknown): unknown {
  const original = (this as Record<string, unknown>)[key];
  return original instanceof Uint8Array ? Buffer.from(original).toString("base64") : value;
}
