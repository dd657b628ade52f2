/** Where the conversation stands: what the person asked last, and what the tools have answered to it so far. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { ModelMessage, ToolResultBlock } from "../model.ts";

export interface FinishedCall {
  readonly tool: string;
  readonly arguments: JsonObject;
  /** The text of its result. */
  readonly text: string;
  readonly images: number;
  readonly isError: boolean;
}

export interface Turn {
  /** The person's last words; empty when there are none. */
  readonly question: string;
  /** Calls made and answered since, oldest first. */
  readonly finished: readonly FinishedCall[];
  /** How many answers with calls were given since. */
  readonly steps: number;
  /** The person's words before those, oldest first. */
  readonly earlier: readonly string[];
}

export function readTurn(messages: readonly ModelMessage[]): Turn {
  const asked = messages.findLastIndex((message) => message.role === "user" && wordsOf(message) !== "");
  // The results of a step and a person's next words can share a message: those results belong to the turn before.
  const since = messages.slice(asked + 1);
  const results = new Map<string, ToolResultBlock>();
  for (const block of since.flatMap((message) => message.content)) {
    if (block.type === "tool_result") results.set(block.callId, block);
  }
  const answers = since.filter((message) => message.role === "assistant");
  const finished = answers.flatMap((message) =>
    message.content.flatMap((block): FinishedCall[] => {
      const result = block.type === "tool_use" ? results.get(block.callId) : undefined;
      if (block.type !== "tool_use" || result === undefined) return [];
      return [{ tool: block.tool, arguments: block.arguments, ...readResult(result) }];
    }),
  );
  return {
    question: asked === -1 ? "" : wordsOf(messages[asked]),
    finished,
    steps: answers.filter((message) => message.content.some((block) => block.type === "tool_use")).length,
    earlier: messages
      .slice(0, Math.max(asked, 0))
      .filter((message) => message.role === "user")
      .map(wordsOf)
      .filter(Boolean),
  };
}

function wordsOf(message: ModelMessage | undefined): string {
  const texts = (message?.content ?? []).map((block) => (block.type === "text" ? block.text : ""));
  return texts.filter(Boolean).join("\n").trim();
}

function readResult(result: ToolResultBlock): { text: string; images: number; isError: boolean } {
  const text = result.content.map((part) => (part.type === "text" ? part.text : "")).filter(Boolean);
  const images = result.content.filter((part) => part.type === "image").length;
  return { text: text.join("\n"), images, isError: result.isError };
}
