/**
 * Fits the pictures of a conversation into one request to a model.
 *
 * Keeps L7 and F2: model APIs take a number of pictures, a number of bytes, and of many pictures only smaller ones; what is
 * over is replaced by a sentence in its place (L9), the oldest first, so that what a person or tool showed last is seen.
 */
import { countBytes } from "../../kernel/content/count-bytes.ts";
import { readPicture } from "../../kernel/content/read-picture.ts";
import type { ImageBlock, ModelBlock, ModelMessage, TextBlock } from "../models/model.ts";

/** Pictures of a request. */
const maxPictures = 100;
/** Bytes of all pictures of a request, which are 20 MB of base64: a request may have 32 MB. */
export const maxAllPictureBytes = 15_000_000;
/** When a request has more pictures than this, */
const manyPictures = 20;
/** each may have at most so many pixels a side. */
const maxSideOfManyPx = 2_000;

/** Messages without a picture too many are the same objects, so that a growing conversation keeps its prefix. */
export function fitPictures(messages: readonly ModelMessage[]): ModelMessage[] {
  const pictures = messages.flatMap(({ content }) => content.flatMap(picturesIn));
  const removed = findTooMany(pictures);
  if (removed.size === 0) return [...messages];
  const replace = <Block extends ModelBlock>(block: Block): Block | TextBlock =>
    block.type === "image" && removed.has(block) ? sentence(block) : block;
  return messages.map((message) => {
    if (!message.content.some((block) => picturesIn(block).some((picture) => removed.has(picture)))) return message;
    const content = message.content.map(
      (block): ModelBlock =>
        block.type === "tool_result" ? { ...block, content: block.content.map(replace) } : replace(block),
    );
    return { role: message.role, content };
  });
}

function picturesIn(block: ModelBlock): ImageBlock[] {
  if (block.type === "image") return [block];
  return block.type === "tool_result" ? block.content.filter((part) => part.type === "image") : [];
}

function findTooMany(pictures: readonly ImageBlock[]): Set<ImageBlock> {
  const removed = new Set<ImageBlock>();
  let bytes = 0;
  let count = 0;
  for (const picture of pictures.toReversed()) {
    bytes += picture.bytes.length;
    count += 1;
    if (count > maxPictures || bytes > maxAllPictureBytes) removed.add(picture);
  }
  let left = pictures.length - removed.size;
  for (const picture of pictures) {
    if (left <= manyPictures) break;
    if (removed.has(picture) || sideOf(picture) <= maxSideOfManyPx) continue;
    removed.add(picture);
    left -= 1;
  }
  return removed;
}

function sideOf({ bytes }: ImageBlock): number {
  const reading = readPicture(bytes);
  return reading.kind === "no-picture" ? 0 : Math.max(reading.widthPx, reading.heightPx);
}

function sentence({ mediaType, bytes }: ImageBlock): TextBlock {
  const text = `(${mediaType}, ${countBytes(bytes.length)}: a picture that is not shown any more, because there are too many)`;
  return { type: "text", text };
}
