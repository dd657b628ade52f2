/** Chunks of a text answer of N tokens, built once per N: the bench's answers cost a write a token and no more. */

import type { FakeUsage } from "../script.ts";
import { blockDelta, blockStart, blockStop, endEvents, frame, pingEvent } from "./answer-events.ts";

export interface TokenFrames {
  /** What follows message_start at once. */
  readonly head: Buffer;
  readonly tokens: readonly Buffer[];
  readonly tail: Buffer;
  /** All of it in one piece, for answers without delay. */
  readonly whole: Buffer;
}

const built = new Map<number, TokenFrames>();
const usage: FakeUsage = { input_tokens: 25, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };

export function tokenText(index: number): string {
  return `${index === 0 ? "" : " "}token${index + 1}`;
}

export function tokenFrames(tokens: number): TokenFrames {
  const known = built.get(tokens);
  if (known !== undefined) return known;
  const head = Buffer.from(frame(blockStart(0, { type: "text", text: "" })) + frame(pingEvent()));
  const pieces = Array.from({ length: tokens }, (_, index) =>
    Buffer.from(frame(blockDelta(0, { type: "text_delta", text: tokenText(index) }))),
  );
  const tail = Buffer.from([blockStop(0), ...endEvents("end_turn", usage, tokens)].map(frame).join(""));
  const made = { head, tokens: pieces, tail, whole: Buffer.concat([head, ...pieces, tail]) };
  built.set(tokens, made);
  return made;
}
