import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { BlockKind, DiscardReason } from "../../../gen/atoll/event/v1/block_events_pb.ts";
import { EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { png } from "../../kernel/content/pictures.fixture.ts";
import { type EventBody, encodeEvent } from "../../kernel/event/encode-event.ts";
import { toModelMessages } from "../showing/model-messages.ts";
import { openCalls } from "./conversation.ts";
import { ConversationFold } from "./conversation-fold.ts";

type Written = readonly [body: EventBody, place?: { runId?: string; step?: number; attempt?: number }];

function foldOf(...events: readonly Written[]): ConversationFold {
  const fold = new ConversationFold(100);
  for (const [body, place] of events) fold.apply(encodeEvent({ runId: "run_1", step: 1, attempt: 1, ...place, body }));
  return fold;
}

const textBlock = (text: string) => ({ block: { case: "text" as const, value: { text } } });
const said = (text: string, runId = "run_1"): Written => [
  { case: "messageReceived", value: { runId, content: [textBlock(text)] } },
  { runId: "" },
];
const started = (runId = "run_1"): Written => [
  { case: "runStarted", value: {} },
  { runId, step: 0 },
];
const step = (number = 1, attempt = 1, runId = "run_1"): Written => [
  { case: "stepStarted", value: { model: "m" } },
  { runId, step: number, attempt },
];
const delta = (text: string, offset = 0, blockId = "1.1.0", runId = "run_1"): Written => [
  { case: "textDelta", value: { blockId, offset: BigInt(offset), text } },
  { runId },
];
const completed = (kind: BlockKind = BlockKind.TEXT, blockId = "1.1.0"): Written => [
  { case: "blockCompleted", value: { blockId, kind, signature: new Uint8Array([7]) } },
];
const usage = (stopReason = "end", runId = "run_1"): Written => [
  { case: "usage", value: { outputTokens: 5n, stopReason } },
  { runId },
];
const proposed = (callId: string): Written => [
  { case: "toolCallProposed", value: { callId, tool: "files.read", argumentsJson: JSON.stringify({ path: "a" }) } },
];
const finished = (callId: string, outcome: ToolOutcome, text = ""): Written => [
  { case: "toolCallFinished", value: { callId, outcome, content: text === "" ? [] : [textBlock(text)] } },
];

function shown(fold: ConversationFold, maxMessages = 100) {
  return toModelMessages(fold, maxMessages).map(({ role, content }) => [
    role,
    ...content.map((block) => {
      if (block.type === "text") return block.text;
      if (block.type === "tool_result")
        return `result ${block.callId} ${block.isError} ${block.content.map((each) => (each.type === "text" ? each.text : each.type)).join()}`;
      if (block.type === "tool_use") return `use ${block.callId} ${block.tool} ${JSON.stringify(block.arguments)}`;
      return block.type === "thinking" ? `thinking ${block.text} ${block.signature.join()}` : block.type;
    }),
  ]);
}

describe("what a model is shown of a log", () => {
  it("is messages, answers and tool results in the order in which the runs were started", () => {
    const fold = foldOf(
      said("first"),
      started(),
      said("second", "run_2"),
      step(),
      delta("let me look"),
      completed(),
      proposed("c1"),
      usage("tool_use"),
      finished("c1", ToolOutcome.SUCCEEDED, "hello"),
      step(2),
      delta("it says hello", 0, "1.2.0"),
      usage(),
      started("run_2"),
    );
    expect(shown(fold)).toEqual([
      ["user", "first"],
      ["assistant", "let me look", 'use c1 files.read {"path":"a"}'],
      ["user", "result c1 false hello"],
      ["assistant", "it says hello"],
      ["user", "second"],
    ]);
  });

  it("holds no message that still waits for its run", () => {
    const events = [said("first"), started(), said("second", "run_2"), step(), delta("one")] as const;
    expect(shown(foldOf(...events))).toEqual([
      ["user", "first"],
      ["assistant", "one"],
    ]);
    expect(foldOf(...events).workOn("run_2")).toBeUndefined();
    expect(shown(foldOf(...events, started("run_2"))).at(-1)).toEqual(["user", "second"]);
  });

  it(`holds nothing of a step that was discarded ${verifies("S8")}`, () => {
    const discard: Written = [
      { case: "stepDiscarded", value: { step: 1, attempt: 1, reason: DiscardReason.TAKEOVER } },
      { attempt: 2 },
    ];
    const fold = foldOf(
      said("first"),
      started(),
      step(),
      delta("half an ans"),
      proposed("c1"),
      discard,
      step(1, 2),
      delta("whole", 0, "2.1.0"),
      usage(),
    );
    expect(shown(fold)).toEqual([
      ["user", "first"],
      ["assistant", "whole"],
    ]);
  });

  it("discards by name: a step of another attempt stays", () => {
    const discard: Written = [
      { case: "stepDiscarded", value: { step: 1, attempt: 2, reason: DiscardReason.MODEL_RETRY } },
    ];
    expect(shown(foldOf(said("q"), started(), step(), delta("stays"), usage(), discard))).toHaveLength(2);
  });

  it(`truncates a block to a delta's offset, in bytes, before it appends ${verifies("S3")}`, () => {
    const fold = foldOf(
      said("q"),
      started(),
      step(),
      delta("grün 🌊 wave"),
      delta("水", Buffer.byteLength("grün ")),
      delta("!", Buffer.byteLength("grün 水")),
    );
    expect(shown(fold).at(-1)).toEqual(["assistant", "grün 水!"]);
  });

  it("holds no reasoning that was cut short, and the rest with its signature", () => {
    const thinking = (text: string, blockId: string): Written => [
      { case: "thinkingDelta", value: { blockId, offset: 0n, text } },
    ];
    const fold = foldOf(
      said("q"),
      started(),
      step(),
      thinking("hmm", "1.1.0"),
      completed(BlockKind.THINKING),
      thinking("and th", "1.1.1"),
    );
    expect(shown(fold).at(-1)).toEqual(["assistant", "thinking hmm 7"]);
  });

  it("says what became of a call that gave nothing", () => {
    const outcomes = [ToolOutcome.SUCCEEDED, ToolOutcome.DENIED, ToolOutcome.UNKNOWN];
    const fold = foldOf(
      said("q"),
      started(),
      step(),
      ...outcomes.map((_, n) => proposed(`c${n}`)),
      usage("tool_use"),
      ...outcomes.map((outcome, n) => finished(`c${n}`, outcome)),
    );
    const [, ...results] = shown(fold).at(-1) ?? [];
    expect(results).toEqual([
      expect.stringMatching(/^result c0 false .*without output/),
      expect.stringMatching(/^result c1 true .*denied/),
      expect.stringMatching(/^result c2 true .*not known whether/),
    ]);
  });

  it("names what a model can't read", () => {
    const media = {
      mediaType: "application/pdf",
      fileName: "a.pdf",
      size: 9n,
      source: { case: "inline" as const, value: new Uint8Array(9) },
    };
    const pixel = { case: "inline" as const, value: png() };
    const fold = new ConversationFold(100);
    const content = [
      { block: { case: "image" as const, value: { media: { ...media, source: pixel } } } },
      { block: { case: "file" as const, value: { media } } },
      { block: { case: "command" as const, value: { name: "reset", arguments: ["now"] } } },
      { block: { case: "text" as const, value: { text: "" } } },
    ];
    fold.applyEvent(create(EventSchema, { body: { case: "messageReceived", value: { runId: "run_1", content } } }));
    fold.applyEvent(create(EventSchema, { runId: "run_1", body: { case: "runStarted", value: {} } }));
    expect(shown(fold)).toEqual([
      ["user", "image", "(a.pdf, application/pdf, 9 bytes: a file that can't be shown)", "/reset now"],
    ]);
  });

  it("goes on over bodies that it does not know", () => {
    const fold = foldOf(said("q"), started(), step());
    fold.apply(new Uint8Array([0x22, 5, ...Buffer.from("run_1"), 0xfa, 0x07, 2, 8, 1]));
    fold.applyEvent(
      create(EventSchema, {
        runId: "run_1",
        body: { case: "textDelta", value: { blockId: "1.1.0", text: "still here" } },
      }),
    );
    expect(shown(fold).at(-1)).toEqual(["assistant", "still here"]);
  });
});

describe("what is remembered", () => {
  it(`is a bounded number of runs, the newest, and none that ended before it was begun ${verifies("L7")}`, () => {
    const fold = new ConversationFold(2);
    const apply = (body: EventBody, runId: string) => fold.apply(encodeEvent({ runId, step: 1, attempt: 1, body }));
    for (const runId of ["run_1", "run_2", "run_3"]) {
      apply({ case: "messageReceived", value: { runId, content: [textBlock(runId)] } }, "");
      apply({ case: "runStarted", value: {} }, runId);
      apply({ case: "stepStarted", value: {} }, runId);
    }
    expect(fold.runs.map(({ runId }) => runId)).toEqual(["run_2", "run_3"]);
    // What still comes of one that was forgotten changes nothing.
    apply({ case: "textDelta", value: { blockId: "1.1.0", text: "late" } }, "run_1");
    expect(shown(fold)).toEqual([
      ["user", "run_2"],
      ["user", "run_3"],
    ]);
    apply({ case: "messageReceived", value: { runId: "run_4", content: [textBlock("cancelled")] } }, "");
    apply({ case: "runFinished", value: {} }, "run_4");
    apply({ case: "runStarted", value: {} }, "run_4");
    expect(fold.runs.at(-1)).toMatchObject({ runId: "run_4", messages: [] });
  });
});

describe("the bound on history", () => {
  const runs = Array.from({ length: 5 }, (_, n): Written[] => [
    said(`q${n}`, `run_${n}`),
    started(`run_${n}`),
    step(1, 1, `run_${n}`),
    delta(`a${n}`, 0, "1.1.0", `run_${n}`),
    usage("end", `run_${n}`),
  ]);

  it("keeps the newest messages and cuts between runs only", () => {
    const fold = foldOf(...runs.flat());
    expect(shown(fold, 4).map(([, text]) => text)).toEqual(["q3", "a3", "q4", "a4"]);
    expect(shown(fold, 5)).toHaveLength(4);
    expect(shown(fold, 100)).toHaveLength(10);
  });

  it("never cuts the newest run, however long it is", () => {
    expect(shown(foldOf(...runs.flat()), 1).map(([, text]) => text)).toEqual(["q4", "a4"]);
  });
});

describe("a run in work", () => {
  it("sees the runs before it and changes nothing of what was folded", () => {
    const fold = foldOf(said("q"), started(), step(), proposed("c1"), usage("tool_use"));
    const before = shown(fold);
    const work = fold.workOn("run_1");
    if (work === undefined) throw new Error("the run was started");
    const [last] = work.run.steps;
    if (last === undefined) throw new Error("the run has a step");
    expect(openCalls(last).map(({ callId }) => callId)).toEqual(["c1"]);
    work.discardStep(last, DiscardReason.TAKEOVER);
    work.beginStep(1, 2);
    expect(shown(fold)).toEqual(before);
  });

  it("sees no run that came after it", () => {
    const fold = foldOf(said("q"), started(), said("later", "run_2"), started("run_2"));
    expect(fold.workOn("run_1")?.runs.map(({ runId }) => runId)).toEqual(["run_1"]);
  });

  it(`forgets what retention removed, and runs that began there ${verifies("S5")}`, () => {
    const trimmed: Written = [{ case: "historyTrimmed", value: { count: 9n } }, { runId: "" }];
    const rest: Written[] = [
      step(2),
      delta("half an answer", 0, "1.2.0"),
      said("new", "run_2"),
      started("run_2"),
      step(1, 1, "run_2"),
      delta("whole", 0, "1.1.0", "run_2"),
    ];
    const expected = [
      ["user", "new"],
      ["assistant", "whole"],
    ];
    expect(shown(foldOf(trimmed, ...rest))).toEqual(expected);
    // A worker that knew the beginning shows the same.
    expect(shown(foldOf(said("old"), started(), step(), delta("gone"), trimmed, ...rest))).toEqual(expected);
    // The message is gone, the start of its run is not.
    expect(shown(foldOf(trimmed, started(), ...rest))).toEqual(expected);
  });
});
