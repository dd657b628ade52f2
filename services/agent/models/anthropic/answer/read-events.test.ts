import { describe, expect, it } from "vitest";
import { verifies } from "../../../../../test/requirements.ts";
import type { ModelPart } from "../../model.ts";
import { longestInputBytes } from "./parse-arguments.ts";
import { createEventReader } from "./read-events.ts";

type Loose = { readonly type: string } & Record<string, unknown>;

/** Events as the wire brings them, kinds that the SDK's types don't know included. */
function read(...events: readonly Loose[]) {
  const reader = createEventReader({ toolName: (name) => name, toolArguments: (_name, args) => args });
  const parts = events.flatMap((event) => reader.read(event));
  return { parts, complete: reader.complete, skippedBlocks: reader.skippedBlocks, mendedBlocks: reader.mendedBlocks };
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
    ["not a number that there is", ['{"a": NaN}'], "not valid JSON"],
    ["one key twice", ['{"a": {"b": 1, "\\u0062": 2}}'], 'the key "b" twice'],
    ["a key __proto__", ['{"a": [{"__proto__": {"x": 1}}]}'], "__proto__"],
    ["too long in bytes", [`{"a":"${"ä".repeat(600_000)}"}`], "longer than"],
    ["too long", [`{"a":"${"x".repeat(longestInputBytes)}`, '"}'], "longer than"],
  ])("that is %s is a problem, not an error", (_what, pieces, problem) => {
    expect(toolInput(...pieces)).toMatchObject({ arguments: {}, problem: expect.stringContaining(problem) });
  });

  it("that is an object has no problem, wherever it was split", () => {
    const same = '{"a":{"k":1},"b":[{"k":1},{"k":"{k:"}],"c":"\\\\","k":0}';
    expect(toolInput(same)).toMatchObject({ arguments: JSON.parse(same), problem: undefined });
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

const text = { type: "text", text: "" };
const say = (index: number, words: string): Loose => delta(index, { type: "text_delta", text: words });
const done: Loose = { type: "message_stop" };
const endTurn: Loose = { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 1 } };

/** The blocks, in order, as the port promises them: each begins, has its pieces, and ends before the next one begins. */
function blocksOf(parts: readonly ModelPart[]): string[] {
  const blocks: string[] = [];
  let open = -1;
  for (const part of parts) {
    if (part.kind === "block-start") {
      expect([open, part.index]).toEqual([-1, blocks.length]);
      open = part.index;
      blocks.push(part.block === "tool_use" ? `call ${part.tool} ` : "");
    } else if (part.kind === "text" || part.kind === "thinking") {
      expect(part.index).toBe(open);
      blocks[open] += part.text;
    } else if (part.kind === "block-stop") {
      expect(part.index).toBe(open);
      if (part.block === "tool_use") blocks[open] += part.problem ?? JSON.stringify(part.arguments);
      open = -1;
    }
  }
  expect(open).toBe(-1);
  return blocks;
}

describe("the end of an answer", () => {
  it(`is message_stop, and what follows it is ignored ${verifies("FL8", "FW1")}`, () => {
    const { parts, complete } = read(
      start(0, text),
      say(0, "a"),
      stop(0),
      endTurn,
      done,
      start(1, text),
      say(1, "b"),
      endTurn,
    );
    expect(complete).toBe(true);
    expect(blocksOf(parts)).toEqual(["a"]);
    expect(parts.at(-1)).toEqual({ kind: "stop", reason: "end", detail: "" });
    expect(read(endTurn).complete).toBe(false);
  });

  it("has a reason of its own when the wire gave none", () => {
    const call = { type: "tool_use", id: "t", name: "a", input: {} };
    expect(read(done).parts.at(-1)).toMatchObject({ kind: "stop", reason: "end" });
    expect(read(start(0, call), stop(0), done).parts.at(-1)).toMatchObject({ kind: "stop", reason: "tool_use" });
  });
});

describe(`blocks that the wire leaves in disorder ${verifies("FW7", "FL8", "S3")}`, () => {
  it.each<[string, Loose[], string[], number]>([
    ["never stop", [start(0, text), say(0, "a"), done], ["a"], 1],
    [
      "begin again under one index",
      [start(0, text), say(0, "a"), start(0, text), say(0, "b"), stop(0), done],
      ["a", "b"],
      1,
    ],
    [
      "use one index after the other",
      [start(0, text), say(0, "a"), stop(0), start(0, text), say(0, "b"), stop(0), done],
      ["a", "b"],
      0,
    ],
    ["stop twice", [start(0, text), say(0, "a"), stop(0), stop(0), stop(7), done], ["a"], 2],
    [
      "interleave",
      [start(0, text), start(1, text), say(1, "b"), say(0, "a"), say(1, "B"), stop(1), say(0, "A"), stop(0), done],
      ["aA", "bB"],
      0,
    ],
    [
      "interleave and never stop",
      [start(2, text), start(9, text), say(9, "b"), start(4, text), say(4, "c"), say(2, "a"), done],
      ["a", "b", "c"],
      3,
    ],
    [
      "are calls without an end",
      [start(0, { type: "tool_use", id: "t", name: "n", input: {} }), done],
      ["call n The call was cut short: its arguments never came."],
      1,
    ],
    [
      "are calls whose arguments had come",
      [
        start(0, { type: "tool_use", id: "t", name: "n", input: {} }),
        delta(0, { type: "input_json_delta", partial_json: '{"a":1}' }),
        done,
      ],
      ['call n {"a":1}'],
      1,
    ],
  ])("and that %s are given out whole, one after the other", (_what, events, blocks, mended) => {
    const { parts, complete, mendedBlocks } = read(...events);
    expect(blocksOf(parts)).toEqual(blocks);
    expect([complete, mendedBlocks]).toEqual([true, mended]);
  });

  it.each<[string, Loose[]]>([
    ["text for a block that never began", [say(0, "a")]],
    ["text for a block that has ended", [start(0, text), stop(0), say(0, "a")]],
    ["text for a call", [start(0, { type: "tool_use", id: "t", name: "n" }), say(0, "a")]],
    ["arguments for a text", [start(0, text), delta(0, { type: "input_json_delta", partial_json: "{}" })]],
    ["text that is a number", [start(0, text), delta(0, { type: "text_delta", text: 5 })]],
    ["a block without content", [{ type: "content_block_start", index: 0 }]],
    ["an index that is none", [{ type: "content_block_start", index: "0", content_block: text }]],
    ["a second beginning", [{ type: "message_start" }, { type: "message_start" }]],
    ["an event that is a list", [[] as unknown as Loose]],
    [
      "more than waits",
      [start(0, text), start(1, text), ...Array.from({ length: 5 }, () => say(1, "x".repeat(1_000_000)))],
    ],
    ["more than any answer has", [start(0, text), ...Array.from({ length: 9 }, () => say(0, "x".repeat(1_000_000)))]],
  ])("or malformed: %s", (_what, events) => {
    expect(() => read(...events)).toThrow(expect.objectContaining({ name: "MalformedAnswer" }));
  });
});

it(`drops a signature over its bound by name, and keeps one of 64 KiB ${verifies("FL8")}`, () => {
  const signed = (length: number) =>
    read(
      start(0, { type: "thinking", thinking: "so", signature: "" }),
      delta(0, { type: "signature_delta", signature: "s".repeat(length) }),
      stop(0),
    ).parts;
  expect(signed(65_536).find((part) => part.kind === "block-stop")).toMatchObject({ signature: { length: 65_536 } });
  const dropped = signed(200_000);
  expect(dropped.find((part) => part.kind === "block-stop")).toMatchObject({ signature: { length: 0 } });
  expect(dropped.at(-1)).toMatchObject({ kind: "mended", reason: expect.stringContaining("longer than 65536 bytes") });
  expect(read(start(0, { type: "redacted_thinking", data: "d".repeat(70_000) }), stop(0)).parts.at(-1)).toMatchObject({
    kind: "mended",
  });
});

it(`joins a surrogate pair over two pieces and replaces half of one ${verifies("FW6")}`, () => {
  const words = read(start(0, text), say(0, "a\ud83d"), say(0, "\ude00b\udc00c"), say(0, "\ud83d"), stop(0)).parts;
  expect(blocksOf(words)).toEqual(["a\u{1f600}b\ufffdc\ufffd"]);
});

describe(`usage ${verifies("FW2", "FW6")}`, () => {
  const usageOf = (...events: readonly Loose[]) =>
    read(...events, done).parts.findLast((part) => part.kind === "usage");
  const none = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 };

  it.each<[string, unknown]>([
    ["missing", undefined],
    ["null", null],
    ["a text", "12"],
    ["a list", [1]],
    ["negative", { input_tokens: -1, output_tokens: -0.5 }],
    ["beyond what a number holds", { input_tokens: 1e30, output_tokens: Number.NaN }],
    ["texts", { input_tokens: "1", output_tokens: null }],
  ])("that is %s counts zero", (_what, usage) => {
    const delta: Loose = { type: "message_delta", delta: { stop_reason: "end_turn" }, usage };
    expect(usageOf({ type: "message_start", message: { usage } }, delta)).toEqual({ kind: "usage", ...none });
    expect(usageOf({ type: "message_start" }, { type: "message_delta" })).toEqual({ kind: "usage", ...none });
  });

  it("keeps what was said before, and only whole tokens", () => {
    const first: Loose = { type: "message_start", message: { usage: { input_tokens: 12.7, output_tokens: 1 } } };
    const last: Loose = { type: "message_delta", delta: {}, usage: { input_tokens: -4, output_tokens: 9 } };
    expect(usageOf(first, last)).toEqual({ kind: "usage", ...none, inputTokens: 12, outputTokens: 9 });
  });
});
