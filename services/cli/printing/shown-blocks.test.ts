import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ShownBlocks } from "./shown-blocks.ts";

const eventOf = (seq: number, body: { readonly [name: string]: JsonValue }, place: object = {}) =>
  fromJson(EventSchema, { firstSeq: seq, seq, runId: "run_1", step: 1, attempt: 1, ...place, ...body });

const delta = (seq: number, text: string, place: object = {}) =>
  eventOf(seq, { textDelta: { blockId: "b", offset: 0, text } }, place);

describe("shown blocks", () => {
  // A block that is known would have its text taken back by a delta at 0.
  it.each([
    ["is whole", { blockCompleted: { blockId: "b" } }],
    ["is void", { stepDiscarded: { step: 1, attempt: 1 } }],
    ["has lost its run", { runFinished: {} }],
  ])(`forget a block that %s ${verifies("L7")}`, (_, end) => {
    const shown = new ShownBlocks();
    shown.take(delta(1, "four"));
    shown.take(eventOf(2, end));
    expect(shown.take(delta(3, "x"))).toMatchObject({ takenBackBytes: 0 });
  });

  it.each([
    ["another block", { blockCompleted: { blockId: "c" } }, {}],
    ["another attempt", { stepDiscarded: { step: 1, attempt: 2 } }, {}],
    ["another run", { runFinished: {} }, { runId: "run_2" }],
  ])("keep a block when %s ends", (_, end, place) => {
    const shown = new ShownBlocks();
    shown.take(delta(1, "four"));
    shown.take(eventOf(2, end, place));
    expect(shown.take(delta(3, "x"))).toMatchObject({ takenBackBytes: 4 });
  });

  it("show the whole of a delta that is not made of what is known", () => {
    const shown = new ShownBlocks();
    shown.take(eventOf(2, { textDelta: { blockId: "b", offset: 0, text: "ab" } }));
    const other = fromJson(EventSchema, {
      ...{ firstSeq: 1, seq: 3, runId: "run_1", step: 1, attempt: 1 },
      textDelta: { blockId: "b", offset: 0, text: "a🌴" },
    });
    expect(shown.take(other)).toEqual({ event: other, takenBackBytes: 2 });
  });
});
