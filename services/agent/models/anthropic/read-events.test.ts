import type Anthropic from "@anthropic-ai/sdk";
import { describe, expect, it } from "vitest";
import type { ModelPart } from "../model.ts";
import { createEventReader, longestInputChars } from "./read-events.ts";

type Loose = { readonly type: string } & Record<string, unknown>;

/** Events as the wire brings them, kinds that the SDK's types don't know included. */
function read(...events: readonly Loose[]) {
  const reader = createEventReader((name) => name);
  const parts = events.flatMap((event) => reader.read(event as unknown as Anthropic.RawMessageStreamEvent));
  return { parts, complete: reader.complete, skippedBlocks: reader.skippedBlocks };
}

function toolInput(...pieces: readonly string[]): ModelPart | undefined {
  const block = { type: "tool_use", id: "t1", name: "a__b", input: {} };
  const deltas = pieces.map((piece) => delta(0, { type: "input_json_delta", partial_json: piece }));
  return read(start(0, block), ...deltas, stop(0)).parts.at(-1);
}

const start = (index: number, block: object): Loose => ({ type: "content_block_start", index, content_block: block });
const delta = (index: number, change: object): Loose => ({ type: "content_block_delta", index, delta: change });
const stop = (index: number): Loose => ({ type: "content_block_stop", index });

describe("tool input", () => {
  it.each([
    ["cut short", ['{"path": "a'], "not valid JSON"],
    ["a list", ["[1]"], "not a JSON object"],
    ["null", ["null"], "not a JSON object"],
    ["too long", [`{"a":"${"x".repeat(longestInputChars)}`, '"}'], "longer than"],
  ])("that is %s is a problem, not an error", (_what, pieces, problem) => {
    expect(toolInput(...pieces)).toMatchObject({ arguments: {}, problem: expect.stringContaining(problem) });
  });

  it("that is an object has no problem, wherever it was split", () => {
    expect(toolInput("", '{"a":"\\u00', '64"}')).toMatchObject({ arguments: { a: "d" }, problem: undefined });
  });
});

it("skips and counts blocks of other kinds, and numbers the rest without gaps", () => {
  const { parts, skippedBlocks } = read(
    start(0, { type: "server_tool_use", id: "s", name: "web_search", input: {} }),
    delta(0, { type: "input_json_delta", partial_json: "{}" }),
    stop(0),
    start(1, { type: "text", text: "" }),
    delta(1, { type: "text_delta", text: "hi" }),
    delta(1, { type: "future_delta" }),
    stop(1),
    { type: "future_event" },
  );
  expect(parts).toEqual([
    { kind: "block-start", index: 0, block: "text" },
    { kind: "text", index: 0, text: "hi" },
    { kind: "block-stop", index: 0, block: "text" },
  ]);
  expect(skippedBlocks).toBe(1);
});

it("is complete only after a stop reason and message_stop", () => {
  const reason = { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 1 } };
  expect(read(reason).complete).toBe(false);
  expect(read({ type: "message_stop" }).complete).toBe(false);
  expect(read(reason, { type: "message_stop" }).complete).toBe(true);
});
