/**
 * Turns content, of people and of tools alike, into what a model can be shown.
 *
 * Keeps F1 and L9: what a model can't be shown is named in a sentence in its place, so that no block makes a model's API
 * refuse the whole conversation. Bytes are what they are, not what they are called.
 */
import type {
  ContentBlock,
  FileBlock,
  ImageBlock,
  MediaSource,
} from "../../../gen/atoll/content/v1/content_block_pb.ts";
import { countBytes } from "../../kernel/content/count-bytes.ts";
import { decodeText } from "../../kernel/content/decode-text.ts";
import { readPicture } from "../../kernel/content/read-picture.ts";
import { sniffMedia } from "../../kernel/content/sniff-media.ts";
import { cutText } from "../../kernel/visible-text.ts";
import type { ImageBlock as ShownPicture, TextBlock as ShownText } from "../models/model.ts";

/** Bytes of a text file that stand in a message. */
const maxFileTextBytes = 262_144;

export type Shown = ShownText | ShownPicture;

/** Blank text is nothing. */
export function showContent({ block }: ContentBlock): Shown[] {
  switch (block.case) {
    case "text":
      return block.value.text.trim() === "" ? [] : [text(block.value.text)];
    case "image":
      return [showPicture(block.value)];
    case "command":
      return [text(`/${[block.value.name, ...block.value.arguments].join(" ")}`)];
    case "audio":
      return [text(block.value.transcript.trim() || named("sound without a transcript", block.value.media))];
    case "video":
      return [text(named("a film that can't be shown", block.value.media))];
    case "file":
      return showFile(block.value);
    case undefined:
      return [];
    default:
      return [text(`(content of kind ${block.case} that can't be shown)`)];
  }
}

function showPicture({ media, altText }: ImageBlock): Shown {
  const bytes = bytesOf(media);
  const about = altText.trim() === "" ? "" : `; it is said to show: ${altText}`;
  if (bytes === undefined) {
    return text(named(`a picture that can't be shown: ${whyWithoutBytes(media)}${about}`, media));
  }
  const reading = readPicture(bytes);
  if (reading.kind === "viewable") return { type: "image", mediaType: reading.mediaType, bytes };
  return text(named(`a picture that can't be shown: ${reading.problem}${about}`, media));
}

function whyWithoutBytes(media: MediaSource | undefined): string {
  if (media?.source.case === "blob") return "it did not fit here and is kept apart";
  return media !== undefined && media.size > 0n ? "it is too long ago" : "it has no bytes";
}

/** A picture as a picture, text as text; another file is named. */
function showFile({ media }: FileBlock): Shown[] {
  const bytes = bytesOf(media);
  if (bytes === undefined) return [text(named("a file that is not shown here", media))];
  if (sniffMedia(bytes)?.kind === "picture" && readPicture(bytes).kind === "viewable") {
    return [text(named("a file, which is a picture", media)), { type: "image", mediaType: mediaTypeOf(bytes), bytes }];
  }
  const words = decodeText(bytes, media?.mediaType ?? "");
  if (words === undefined) return [text(named("a file that can't be shown", media))];
  if (words.trim() === "") return [text(named("a file with nothing in it", media))];
  return [text(named("a file, which follows", media)), text(cutText(words.toWellFormed(), maxFileTextBytes))];
}

function mediaTypeOf(bytes: Uint8Array): string {
  return sniffMedia(bytes)?.mediaType ?? "";
}

function bytesOf(media: MediaSource | undefined): Uint8Array | undefined {
  return media?.source.case === "inline" ? media.source.value : undefined;
}

/** A sentence with what is known of the media: name, type, size. */
function named(what: string, media: MediaSource | undefined): string {
  const bytes = bytesOf(media);
  const size = Number(bytes?.length ?? media?.size ?? 0);
  const mediaType = (bytes === undefined ? undefined : sniffMedia(bytes)?.mediaType) ?? media?.mediaType ?? "";
  const facts = [media?.fileName ?? "", mediaType, size > 0 ? countBytes(size) : ""].filter((fact) => fact !== "");
  return facts.length === 0 ? `(${what})` : `(${facts.join(", ")}: ${what})`;
}

function text(words: string): ShownText {
  return { type: "text", text: words };
}
