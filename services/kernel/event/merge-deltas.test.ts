import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { encodeEvent } from "./encode-event.ts";
import { mergeDeltas } from "./merge-deltas.ts";
import type { StoredEvent } from "./stored-event.ts";
import { stampEvents } from "./wire/stamp-events.fixture.ts";

type Init = Parameters<typeof encodeEvent>[0];

const logOf = (...inits: readonly Init[]): StoredEvent[] => stampEvents(inits.map(encodeEvent), 0, 1_700_000_000_000);
const delta = (text: string, offset: number, changes: Partial<Init> = {}, blockId = "1.1.0"): Init => ({
  runId: "run_1",
  step: 1,
  attempt: 1,
  body: { case: "textDelta", value: { blockId, offset: BigInt(offset), text } },
  ...changes,
});
const decode = (events: readonly StoredEvent[]): Event[] =>
  events.map(({ bytes, firstSeq, seq }) => {
    const event = fromBinary(EventSchema, bytes);
    expect([event.firstSeq, event.seq]).toEqual([BigInt(firstSeq), BigInt(seq)]);
    return event;
  });

describe(`merging deltas ${verifies("S3")}`, () => {
  test("makes one delta of those that continue each other", () => {
    const merged = decode(mergeDeltas(logOf(delta("Zü", 0), delta("rich ", 3), delta("🚤", 8))));
    expect(merged).toMatchObject([
      {
        firstSeq: 1n,
        seq: 3n,
        runId: "run_1",
        step: 1,
        attempt: 1,
        body: { case: "textDelta", value: { blockId: "1.1.0", offset: 0n, text: "Zürich 🚤" } },
      },
    ]);
  });

  test("has the time of the last part", () => {
    const [first] = stampEvents([encodeEvent(delta("a", 0))], 0, 1_000);
    const [second] = stampEvents([encodeEvent(delta("b", 1))], 1, 2_000);
    const [merged] = decode(mergeDeltas([first, second].filter((event) => event !== undefined)));
    expect(merged?.time?.seconds).toBe(2n);
  });

  test.each([
    ["of another block", delta("b", 1, {}, "1.1.1")],
    ["of another run", delta("b", 1, { runId: "run_2" })],
    ["of another step", delta("b", 1, { step: 2 })],
    ["of another attempt", delta("b", 1, { attempt: 2 })],
    ["that takes text back", delta("b", 0)],
    ["that leaves a gap", delta("b", 2)],
    [
      "that thinks",
      delta("b", 1, { body: { case: "thinkingDelta", value: { blockId: "1.1.0", offset: 1n, text: "b" } } }),
    ],
  ])("keeps apart a delta %s", (_, other) => {
    const log = logOf(delta("a", 0), other);
    expect(mergeDeltas(log)).toEqual(log);
  });

  test("keeps apart what another event separates", () => {
    const log = logOf(
      delta("a", 0),
      { runId: "run_1", body: { case: "runFinished", value: { status: 1 } } },
      delta("b", 1),
    );
    expect(mergeDeltas(log)).toEqual(log);
  });

  test("keeps apart what a missing event separates", () => {
    const [first, , third] = logOf(delta("a", 0), delta("b", 1), delta("c", 2));
    const log = [first, third].filter((event) => event !== undefined);
    expect(mergeDeltas(log)).toEqual(log);
  });

  test(`passes on a delta with a field of a later version ${verifies("S7")}`, () => {
    const [first, second] = logOf(delta("a", 0), delta("b", 1));
    if (first === undefined || second === undefined) throw new Error("two events");
    const later: StoredEvent = { ...second, bytes: Uint8Array.from([...second.bytes, 0xfa, 0x3e, 1, 1]) };
    expect(mergeDeltas([first, later])).toEqual([first, later]);
  });

  test.each([
    ["whose body is cut short", [0x3a, 1, 0xff]],
    ["whose text ends inside a code point", [0x3a, 5, 0x10, 1, 0x1a, 1, 0xe2]],
  ])("passes on a delta %s, and keeps its neighbours readable", (_, body) => {
    const place = encodeEvent({ runId: "run_1", step: 1, attempt: 1 });
    const encoded = [delta("a", 0, {}, ""), delta("b", 2, {}, "")].map(encodeEvent);
    const log = stampEvents([encoded[0], Uint8Array.of(...place, ...body), encoded[1]].filter(isThere), 0, 0);
    expect(mergeDeltas(log)).toEqual(log);
  });

  test("bounds the text of one delta", () => {
    const text = "x".repeat(8_000);
    const merged = mergeDeltas(logOf(...[0, 1, 2, 3].map((part) => delta(text, part * text.length))));
    expect(merged.map(({ firstSeq, seq }) => [firstSeq, seq])).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  test(`says the same as its parts, whatever is merged and merged again ${verifies("S1")}`, () => {
    const piece = fc.record({
      block: fc.constantFrom("1.1.0", "1.1.1"),
      text: fc.string({ unit: "grapheme", maxLength: 5 }),
      back: fc.constantFrom(0, 0, 0, 0, 2),
      other: fc.constantFrom(false, false, false, false, true),
    });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), fc.nat({ max: 40 }), (pieces, cut) => {
        const blocks = new Map<string, string>();
        const inits = pieces.map(({ block, text, back, other }): Init => {
          if (other) return { runId: "run_1", body: { case: "stepStarted", value: {} } };
          const known = Array.from(blocks.get(block) ?? "");
          const kept = known.slice(0, Math.max(0, known.length - back)).join("");
          blocks.set(block, kept + text);
          return delta(text, Buffer.byteLength(kept), {}, block);
        });
        const log = logOf(...inits);
        const merged = mergeDeltas(log);
        const twice = mergeDeltas([...mergeDeltas(log.slice(0, cut)), ...mergeDeltas(log.slice(cut))]);
        expect(fold(decode(merged))).toEqual(fold(decode(log)));
        expect(decode(twice)).toEqual(decode(merged));
        expect(fold(decode(merged))).toEqual(Object.fromEntries(blocks));
        let next = 1;
        for (const { firstSeq, seq } of merged) {
          expect(firstSeq).toBe(next);
          next = seq + 1;
        }
        expect(next).toBe(log.length + 1);
      }),
    );
  });
});

function isThere<T>(value: T | undefined): value is T {
  return value !== undefined;
}

/** The rule of S3, as it is written: truncate to the offset, then append. */
function fold(events: readonly Event[]): Record<string, string> {
  const blocks = new Map<string, Buffer>();
  for (const { body } of events) {
    if (body.case !== "textDelta") continue;
    const { blockId, offset, text } = body.value;
    const known = blocks.get(blockId) ?? Buffer.alloc(0);
    expect(Number(offset)).toBeLessThanOrEqual(known.length);
    blocks.set(blockId, Buffer.concat([known.subarray(0, Number(offset)), Buffer.from(text)]));
  }
  return Object.fromEntries([...blocks].map(([id, bytes]) => [id, bytes.toString()]));
}
