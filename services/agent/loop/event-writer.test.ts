import { crc32 } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { Phase } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { manualClock } from "../../kernel/manual-clock.fixture.ts";
import { EventWriter } from "./event-writer.ts";

const endOfTick = () => new Promise((resolve) => setImmediate(resolve));
const plainEnd = { signature: new Uint8Array(), redacted: false };

function setUp({ deltaWindowMs = 10 } = {}) {
  const clock = manualClock();
  const batches: Event[][] = [];
  const outlet = {
    deliver: (events: readonly Uint8Array[]) =>
      void batches.push(events.map((event) => fromBinary(EventSchema, event))),
    ready: async () => undefined,
    durable: async () => undefined,
  };
  const writer = new EventWriter({ outlet, runId: "run_1", attempt: 2, clock, deltaWindowMs });
  writer.beginStep(3);
  const bodies = () => batches.flat().map(({ body }) => body);
  const deltas = () =>
    bodies().flatMap((body) => (body.case === "textDelta" || body.case === "thinkingDelta" ? [body.value] : []));
  return { clock, writer, batches, bodies, deltas };
}

describe(`deltas ${verifies("S3")}`, () => {
  it("send the first piece of a block at once and gather the rest for the window", async () => {
    const { clock, writer, deltas } = setUp();
    writer.beginBlock(0, "text");
    writer.append("one ");
    await endOfTick();
    expect(deltas().map(({ text }) => text)).toEqual(["one "]);
    writer.append("two ");
    writer.append("three ");
    await endOfTick();
    expect(deltas()).toHaveLength(1);
    clock.advance(9);
    await endOfTick();
    expect(deltas()).toHaveLength(1);
    clock.advance(1);
    await endOfTick();
    expect(deltas().map(({ text }) => text)).toEqual(["one ", "two three "]);
    writer.beginBlock(1, "text");
    writer.append("another block");
    await endOfTick();
    expect(deltas()).toHaveLength(3);
  });

  it("count their offset in bytes of UTF-8, and the block its length and checksum", async () => {
    const { clock, writer, bodies, deltas } = setUp();
    const pieces = ["grün", " 🌊", "水", "", " end"];
    writer.beginBlock(0, "thinking");
    for (const piece of pieces) {
      writer.append(piece);
      clock.advance(10);
    }
    writer.endBlock({ signature: new Uint8Array([1, 2]), redacted: false });
    await endOfTick();
    const whole = Buffer.from(pieces.join(""));
    let text = Buffer.alloc(0);
    for (const delta of deltas()) {
      expect(Number(delta.offset)).toBe(text.length);
      expect(delta.blockId).toBe("2.3.0");
      text = Buffer.concat([text, Buffer.from(delta.text)]);
    }
    expect(text).toEqual(whole);
    expect(bodies().at(-1)).toMatchObject({
      case: "blockCompleted",
      value: { blockId: "2.3.0", length: BigInt(whole.length), crc32: crc32(whole), signature: new Uint8Array([1, 2]) },
    });
  });

  it.each([0, 10])(
    "never split a code point, wherever the model cuts its text (window %i ms)",
    async (deltaWindowMs) => {
      const { clock, writer, bodies, deltas } = setUp({ deltaWindowMs });
      const text = "a🌊🏄🏽‍♀️b𝒳";
      writer.beginBlock(0, "text");
      for (let at = 0; at < text.length; at++) {
        writer.append(text.charAt(at));
        clock.advance(10);
      }
      writer.endBlock(plainEnd);
      await endOfTick();
      expect(
        deltas()
          .map((delta) => delta.text)
          .join(""),
      ).toBe(text);
      for (const delta of deltas()) expect(delta.text.isWellFormed()).toBe(true);
      expect(bodies().at(-1)).toMatchObject({
        value: { length: BigInt(Buffer.byteLength(text)), crc32: crc32(Buffer.from(text)) },
      });
    },
  );

  it("agree with the block's length and checksum when the model sends half a pair", async () => {
    const { writer, bodies, deltas } = setUp({ deltaWindowMs: 0 });
    writer.beginBlock(0, "text");
    for (const piece of ["x\ud83d", "y", "\udc00", "z\ud83d"]) writer.append(piece);
    writer.endBlock(plainEnd);
    await endOfTick();
    const bytes = Buffer.concat(deltas().map((delta) => Buffer.from(delta.text)));
    expect(bytes.toString()).toMatch(/^x.y.z/);
    expect(bodies().at(-1)).toMatchObject({ value: { length: BigInt(bytes.length), crc32: crc32(bytes) } });
  });
});

describe("events", () => {
  it("stand behind the deltas that were written before them, and travel together", async () => {
    const { writer, batches, bodies } = setUp();
    writer.beginBlock(0, "text");
    writer.append("a");
    writer.append("b");
    writer.write({ case: "phaseChanged", value: { phase: Phase.ACT } });
    writer.append("c");
    writer.endBlock(plainEnd);
    expect(batches).toHaveLength(0);
    await endOfTick();
    expect(batches).toHaveLength(1);
    expect(bodies().map((body) => body.case)).toEqual([
      "textDelta",
      "textDelta",
      "phaseChanged",
      "textDelta",
      "blockCompleted",
    ]);
    expect(batches.flat().map(({ runId, step, attempt }) => [runId, step, attempt])).toEqual(
      Array.from({ length: 5 }, () => ["run_1", 3, 2]),
    );
  });

  it("are all handed over before durable() is asked for", async () => {
    const { writer, bodies } = setUp();
    writer.beginBlock(0, "text");
    writer.append("a");
    writer.append("b");
    await writer.durable();
    expect(bodies().map((body) => body.case)).toEqual(["textDelta", "textDelta"]);
  });

  it("carry nothing of a block behind its abandonment", async () => {
    const { clock, writer, bodies } = setUp();
    writer.beginBlock(0, "text");
    writer.append("a");
    writer.append("b");
    writer.abandonBlock();
    writer.append("c");
    writer.endBlock(plainEnd);
    clock.advance(100);
    await endOfTick();
    expect(bodies().map((body) => body.case)).toEqual(["textDelta", "textDelta"]);
  });
});

describe("events that nobody waits for", () => {
  it("go with the next event, or alone at the end of the window", async () => {
    const { clock, writer, batches } = setUp();
    writer.writeSoon({ case: "stepStarted", value: { model: "m" } });
    await endOfTick();
    expect(batches).toEqual([]);
    writer.beginBlock(0, "text");
    writer.append("hello");
    await endOfTick();
    expect(batches.map((batch) => batch.map(({ body }) => body.case))).toEqual([["stepStarted", "textDelta"]]);
    writer.writeSoon({ case: "phaseChanged", value: { phase: Phase.THINK } });
    clock.advance(9);
    expect(batches).toHaveLength(1);
    clock.advance(1);
    expect(batches.map((batch) => batch.length)).toEqual([2, 1]);
  });

  it("are durable when the writer says so", async () => {
    const { writer, batches } = setUp();
    writer.writeSoon({ case: "stepStarted", value: { model: "m" } });
    await writer.durable();
    expect(batches.map((batch) => batch.length)).toEqual([1]);
  });
});
