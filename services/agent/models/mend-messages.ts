/**
 * Blocks of a conversation that stand shortened, or as a note, because a model's API refused them (F2).
 *
 * A block is named by what it holds, or by its call, so that a mend holds wherever the block stands and whoever folds the
 * log, and a picture that was made smaller since is shown again.
 */
import { createHash } from "node:crypto";
import type { ImageBlock, Mend, ModelBlock, ModelMessage, TextBlock } from "./model.ts";

export type Mends = ReadonlyMap<string, Mend>;

/** A text may have been shortened more than once; each time it has another name. */
const mostMendsOfABlock = 8;

/** The name of a block; undefined for reasoning, which goes or stays as a whole. */
export function blockKey(block: ModelBlock): string | undefined {
  switch (block.type) {
    case "text":
      return `text:${digest(block.text)}`;
    case "image":
      return `picture:${digest(block.bytes)}`;
    case "tool_use":
      return `arguments:${block.callId}`;
    case "tool_result":
      return `result:${block.callId}`;
    case "thinking":
      return undefined;
  }
}

/** The messages as they stand with what was mended. What needs no mending is the same object. */
export function mendMessages(messages: readonly ModelMessage[], mends: Mends): readonly ModelMessage[] {
  if (mends.size === 0) return messages;
  return messages.map((message) => {
    const content = message.content.map((block) => mendBlock(block, mends));
    return content.every((block, index) => block === message.content[index]) ? message : { ...message, content };
  });
}

function mendBlock(block: ModelBlock, mends: Mends): ModelBlock {
  switch (block.type) {
    case "thinking":
      return block;
    case "text":
    case "image":
      return mendPart(block, mends);
    case "tool_use": {
      const mend = mends.get(`arguments:${block.callId}`);
      return mend === undefined ? block : { ...block, arguments: { note: mend.note } };
    }
    case "tool_result": {
      const mend = mends.get(`result:${block.callId}`);
      if (mend !== undefined) return { ...block, content: [{ type: "text", text: mend.note }] };
      const content = block.content.map((part) => mendPart(part, mends));
      return content.every((part, index) => part === block.content[index]) ? block : { ...block, content };
    }
  }
}

function mendPart(part: TextBlock | ImageBlock, mends: Mends): TextBlock | ImageBlock {
  let mended = part;
  for (let round = 0; round < mostMendsOfABlock; round++) {
    const mend = mends.get(blockKey(mended) ?? "");
    if (mend === undefined) break;
    mended = { type: "text", text: mended.type === "text" ? cutMiddle(mended.text, mend) : mend.note };
  }
  return mended;
}

function cutMiddle(text: string, { keepBytes, note }: Mend): string {
  if (keepBytes === 0) return note;
  const bytes = Buffer.from(text);
  const headBytes = Math.ceil((keepBytes * 2) / 3);
  if (bytes.length <= keepBytes) return text;
  const head = new TextDecoder().decode(bytes.subarray(0, headBytes), { stream: true });
  let tailAt = bytes.length - (keepBytes - headBytes);
  // Not in the middle of a character.
  while (tailAt < bytes.length && ((bytes[tailAt] ?? 0) & 0xc0) === 0x80) tailAt += 1;
  return `${head}\n${note}\n${bytes.toString("utf8", tailAt)}`;
}

function digest(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex").slice(0, 32);
}
