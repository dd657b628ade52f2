import { readdirSync, readFileSync } from "node:fs";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { describeConversation } from "./describe-conversation.fixture.ts";
import { applyEvent, applyEvents, createFold, resumeFold } from "./fold-events.ts";

interface Vector {
  readonly name: string;
  readonly streams: readonly (readonly JsonValue[])[];
  readonly expect?: object;
  readonly expectError?: string;
}

const vectorFolder = new URL("../../../test/contract/fold-vectors/", import.meta.url);
const vectors = readdirSync(vectorFolder)
  .filter((file) => file.endsWith(".json"))
  .map((file) => JSON.parse(readFileSync(new URL(file, vectorFolder), "utf8")) as Vector);

const readEvent = (json: JsonValue): Event => fromJson(EventSchema, json, { ignoreUnknownFields: true });

const run = { runId: "run_1", step: 1, attempt: 1 };
const delta = (firstSeq: number, seq: number, offset: number, text: string): Event =>
  readEvent({ firstSeq, seq, ...run, textDelta: { blockId: "1.1.0", offset, text } });

describe("the golden vectors", () => {
  test("are all there", () => expect(vectors.length).toBeGreaterThanOrEqual(12));

  for (const vector of vectors) {
    const streams = vector.streams.map((stream) => stream.map(readEvent));

    test(`${vector.name}, one event at a time`, () => {
      let conversation = createFold();
      const applyAll = (stream: readonly Event[]) => {
        for (const event of stream) conversation = applyEvent(conversation, event);
      };
      const last = streams.at(-1) ?? [];
      for (const [index, stream] of streams.slice(0, -1).entries()) {
        if (index > 0) conversation = resumeFold(conversation);
        applyAll(stream);
      }
      if (streams.length > 1) conversation = resumeFold(conversation);
      if (vector.expectError === undefined) {
        applyAll(last);
        expect(describeConversation(conversation)).toEqual(vector.expect);
      } else {
        applyAll(last.slice(0, -1));
        const before = describeConversation(conversation);
        expect(() => applyAll(last.slice(-1))).toThrow(expect.objectContaining({ problem: vector.expectError }));
        expect(describeConversation(conversation)).toEqual(before);
      }
    });

    test(`${vector.name}, a stream at a time`, () => {
      const foldAll = () =>
        streams.reduce(
          (conversation, stream, index) => applyEvents(index > 0 ? resumeFold(conversation) : conversation, stream),
          createFold(),
        );
      if (vector.expectError === undefined) expect(describeConversation(foldAll())).toEqual(vector.expect);
      else expect(foldAll).toThrow(expect.objectContaining({ problem: vector.expectError }));
    });
  }
});

describe("applyEvents", () => {
  test("gives the same text however deltas were merged, cut into streams and resumed", () => {
    const pieces = fc.array(fc.string({ unit: "grapheme", minLength: 1, maxLength: 6 }), {
      minLength: 2,
      maxLength: 12,
    });
    fc.assert(
      fc.property(pieces, fc.array(fc.nat()), fc.nat(), (texts, breaks, resumeAt) => {
        const bytes = (count: number) => Buffer.byteLength(texts.slice(0, count).join(""));
        const cuts = [...new Set([0, ...breaks.map((at) => at % texts.length)])].sort((a, b) => a - b);
        const merged = cuts.map((from, index) => {
          const to = cuts[index + 1] ?? texts.length;
          return delta(from + 1, to, bytes(from), texts.slice(from, to).join(""));
        });
        const cursor = resumeAt % texts.length;
        const first = texts.slice(0, cursor).map((text, index) => delta(index + 1, index + 1, bytes(index), text));
        const rest = merged.filter((event) => event.seq > BigInt(cursor));
        const conversation = applyEvents(resumeFold(applyEvents(createFold(), first)), rest);
        expect(conversation.seq).toBe(texts.length);
        expect(conversation.turns).toMatchObject([
          { items: [{ text: texts.join(""), byteLength: bytes(texts.length) }] },
        ]);
      }),
    );
  });

  test("leaves the conversation before it as it was and shares what did not change", () => {
    const before = applyEvents(createFold(), [
      readEvent({ firstSeq: 1, seq: 1, messageReceived: { messageId: "m", runId: "run_0" } }),
      readEvent({ firstSeq: 2, seq: 2, runId: "run_0", runQueued: {} }),
      delta(3, 3, 0, "a"),
    ]);
    const snapshot = structuredClone(describeConversation(before));
    const after = applyEvents(before, [delta(4, 4, 1, "b"), delta(5, 5, 2, "c")]);
    expect(describeConversation(before)).toEqual(snapshot);
    expect(after.turns[0]).toBe(before.turns[0]);
    expect(after.turns[1]).toBe(before.turns[1]);
    expect(after.turns[2]).not.toBe(before.turns[2]);
  });

  test("applies nothing of a batch when one of its events is refused", () => {
    const before = applyEvents(createFold(), [delta(1, 1, 0, "a")]);
    expect(() => applyEvents(before, [delta(2, 2, 1, "b"), delta(3, 3, 9, "c")])).toThrow();
    expect(before).toMatchObject({ seq: 1, turns: [{ items: [{ text: "a" }] }] });
  });
});

test("a fold that begins in the middle of a log takes a delta whose beginning it does not know", () => {
  const conversation = applyEvents(createFold(7), [delta(6, 9, 40, "rest")]);
  expect(conversation).toMatchObject({ seq: 9, turns: [{ items: [{ text: "\u2026rest", missing: true }] }] });
});
