import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EventSchema } from "../../../../gen/atoll/event/v1/event_pb.ts";
import { readEventRange } from "./read-event-range.ts";
import { encodeEventTime, stampEvent } from "./stamp-event.ts";
import { stampEvents } from "./stamp-events.fixture.ts";
import { MalformedWire } from "./wire-reader.ts";

const anyRange = fc
  .tuple(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }))
  .map(([one, other]) => ({ firstSeq: Math.min(one, other), seq: Math.max(one, other) }));

function encodeDelta(text: string): Uint8Array {
  const value = { blockId: "1.1.0", offset: 0n, text };
  return toBinary(EventSchema, create(EventSchema, { runId: "run-1", step: 1, body: { case: "textDelta", value } }));
}

describe("stamping an event", () => {
  it("gives bytes that decode to the event with its range and time", () => {
    const property = fc.property(
      fc.string(),
      anyRange,
      fc.integer({ min: 0, max: 253_402_300_799_999 }),
      (text, range, atMs) => {
        const stamped = stampEvent(encodeDelta(text), range.firstSeq, range.seq, encodeEventTime(atMs));
        const event = fromBinary(EventSchema, stamped);
        expect(event.firstSeq).toBe(BigInt(range.firstSeq));
        expect(event.seq).toBe(BigInt(range.seq));
        expect(event.time && timestampMs(event.time)).toBe(atMs);
        expect(event.runId).toBe("run-1");
        expect(event.body.value).toMatchObject({ blockId: "1.1.0" });
      },
    );
    fc.assert(property);
  });

  it("numbers a batch after the head without a gap", () => {
    const events = stampEvents([encodeDelta("a"), encodeDelta("b")], 127, 1_700_000_000_123);
    expect(events.map(({ firstSeq, seq }) => [firstSeq, seq])).toEqual([
      [128, 128],
      [129, 129],
    ]);
    expect(events.map(({ bytes }) => Number(fromBinary(EventSchema, bytes).seq))).toEqual([128, 129]);
  });
});

describe("reading the range of an event", () => {
  it("finds what was stamped without decoding", () => {
    fc.assert(
      fc.property(fc.string(), anyRange, (text, range) => {
        const stamped = stampEvent(encodeDelta(text), range.firstSeq, range.seq, encodeEventTime(0));
        expect(readEventRange(stamped)).toEqual(range);
      }),
    );
  });

  it("refuses an event without a range", () => {
    expect(() => readEventRange(encodeDelta("a"))).toThrow(MalformedWire);
  });

  it("refuses a range that ends before it begins", () => {
    expect(() => readEventRange(stampEvent(encodeDelta("a"), 3, 2, encodeEventTime(0)))).toThrow(MalformedWire);
  });

  it("never reads past the end of bytes that are cut short", () => {
    const stamped = stampEvent(encodeDelta("some text"), 300, 301, encodeEventTime(1_700_000_000_000));
    for (let length = 0; length < stamped.length; length++) {
      try {
        const range = readEventRange(stamped.subarray(0, length));
        // Only the time may be missing, and not half of it.
        expect(range).toEqual({ firstSeq: 300, seq: 301 });
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedWire);
      }
    }
  });
});
