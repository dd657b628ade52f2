/**
 * Turns what a tool answered into the parts that people and models are shown, whatever their size.
 *
 * Keeps F1 and L9: each block becomes what its bytes are, or a sentence in its place. An answer that is an object alone
 * is told as JSON text.
 */
import type { JsonValue } from "@bufbuild/protobuf";
import { TextFormat } from "../../../gen/atoll/content/v1/content_block_pb.ts";
import { countBytes } from "../../kernel/content/count-bytes.ts";
import { decodeText } from "../../kernel/content/decode-text.ts";
import { readPicture } from "../../kernel/content/read-picture.ts";
import { sniffMedia } from "../../kernel/content/sniff-media.ts";
import type { McpAnswer, McpContent } from "../mcp/mcp-connection.ts";
import { toJson } from "../mcp/messages/read-content.ts";

const unknownBytes = "application/octet-stream";
const maxNameLength = 255;

export interface TextPart {
  readonly kind: "text";
  readonly text: string;
  readonly format: TextFormat;
}

export interface MediaPart {
  readonly kind: "image" | "audio" | "video" | "file";
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly fileName: string;
  /** Of a picture; 0 when unknown. */
  readonly widthPx: number;
  readonly heightPx: number;
}

export type AnswerPart = TextPart | MediaPart;

export function answerParts({ content, structured }: McpAnswer): AnswerPart[] {
  const parts = content.flatMap(toParts);
  if (structured === undefined || content.some(isSaid)) return parts;
  const json = toJson(structured);
  return [
    ...parts,
    json === undefined
      ? sentence("an object that is nested too deeply to be read")
      : textPart(json, "application/json"),
  ];
}

/** Whether it is text of the server's own. */
function isSaid(content: McpContent): boolean {
  switch (content.kind) {
    case "text":
    case "resource-text":
      return content.text.trim() !== "";
    case "resource-bytes":
      return decodeText(content.bytes, content.mediaType) !== undefined;
    case "image":
    case "audio":
    case "resource-link":
    case "note":
      return false;
  }
}

function toParts(content: McpContent): AnswerPart[] {
  switch (content.kind) {
    case "text":
    case "note":
      return [textPart(content.text, "")];
    case "image":
    case "audio":
      return [mediaPart(content)];
    case "resource-text":
      return [textPart(`Resource ${content.uri}:`, ""), textPart(content.text, content.mediaType)];
    case "resource-bytes":
      return resourceParts(content);
    case "resource-link": {
      const { name, uri, mediaType, description } = content;
      const kind = mediaType === "" ? "" : ` (${mediaType})`;
      const what = description === "" ? "" : `: ${description}`;
      return [textPart(`Link to ${name} <${uri}>${kind}${what}`, "")];
    }
  }
}

/** Text as text, pictures as pictures, and what is neither as a file. */
function resourceParts({ uri, bytes, mediaType }: Extract<McpContent, { kind: "resource-bytes" }>): AnswerPart[] {
  const heading = textPart(`Resource ${uri}:`, "");
  if (bytes.length === 0) return [sentence(`the resource ${uri} is empty`)];
  const text = decodeText(bytes, mediaType);
  if (text !== undefined) return [heading, textPart(text, mediaType)];
  const fileName = (uri.split(/[/\\]/).at(-1) ?? "").slice(0, maxNameLength).toWellFormed();
  const sniffed = sniffMedia(bytes);
  if (sniffed?.kind !== "picture") {
    return [{ ...plainMedia(bytes, sniffed?.mediaType ?? (mediaType || unknownBytes)), kind: "file", fileName }];
  }
  return [heading, { ...pictureOf(bytes, sniffed.mediaType), fileName }];
}

/** What was said to be a picture or sound. */
function mediaPart({ kind, bytes, mediaType }: Extract<McpContent, { kind: "image" | "audio" }>): AnswerPart {
  const called = mediaType === "" ? "" : ` of type ${mediaType}`;
  const what = `${kind === "image" ? "a picture" : "sound"}${called} that can't be shown`;
  if (bytes.length === 0) return sentence(`${what}: it is empty`);
  const sniffed = sniffMedia(bytes);
  switch (sniffed?.kind) {
    case "picture":
      return pictureOf(bytes, sniffed.mediaType);
    case "sound":
      return { ...plainMedia(bytes, sniffed.mediaType), kind: "audio" };
    case "film":
      return { ...plainMedia(bytes, sniffed.mediaType), kind: "video" };
    case "document":
      return { ...plainMedia(bytes, sniffed.mediaType), kind: "file" };
    case undefined:
      // There are more kinds of sound than are told apart here.
      if (kind === "audio" && mediaType.startsWith("audio/")) return { ...plainMedia(bytes, mediaType), kind };
      return sentence(`${what}: its ${countBytes(bytes.length)} are nothing that is known`);
  }
}

function pictureOf(bytes: Uint8Array, mediaType: string): MediaPart {
  const reading = readPicture(bytes);
  const { widthPx, heightPx } = reading.kind === "no-picture" ? { widthPx: 0, heightPx: 0 } : reading;
  return { ...plainMedia(bytes, mediaType), kind: "image", widthPx, heightPx };
}

function plainMedia(bytes: Uint8Array, mediaType: string): Omit<MediaPart, "kind"> {
  return { bytes, mediaType, fileName: "", widthPx: 0, heightPx: 0 };
}

function sentence(text: string): TextPart {
  return textPart(`(${text})`, "");
}

function textPart(text: string, mediaType: string): TextPart {
  const formats: Readonly<Record<string, TextFormat>> = {
    "text/markdown": TextFormat.MARKDOWN,
    "application/json": TextFormat.JSON,
  };
  return { kind: "text", text: text.toWellFormed(), format: formats[mediaType] ?? TextFormat.PLAIN };
}

/** Whether the answer's object can be handed on as one. */
export function isObject(value: JsonValue | undefined): value is Readonly<Record<string, JsonValue>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
