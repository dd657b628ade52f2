import { fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RawEventBatchSchema } from "../../../../gen/atoll/internal/v1/raw_events_pb.ts";
import { packEvents, packStamped, unpackEvents } from "./event-batch.ts";
import { encodeEventTime, stampEvent } from "./stamp-event.ts";
import { stampEvents } from "./stamp-events.fixture.ts";
import { MalformedWire } from "./wire-reader.ts";

// Field 7 with any content: an event's body as far as this module can tell.
const anyEncodedEvent = fc
  .uint8Array({ maxLength: 300 })
  .map((body) =>
    Uint8Array.from([
      0x3a,
      ...(body.length < 128 ? [body.length] : [(body.length % 128) | 128, body.length >> 7]),
      ...body,
    ]),
  );

describe("a batch of events", () => {
  it("unpacks to what was packed", () => {
    fc.assert(
      fc.property(fc.array(anyEncodedEvent), fc.nat(), (encoded, headSeq) => {
        const events = stampEvents(encoded, headSeq, 1_700_000_000_000);
        expect(unpackEvents(packEvents(events))).toEqual(events);
      }),
    );
  });

  it("is packed while it is stamped as it would be afterwards", () => {
    fc.assert(
      fc.property(fc.array(anyEncodedEvent), fc.nat(), (encoded, headSeq) => {
        const { events, packed } = packStamped(encoded, headSeq, 1_700_000_000_000);
        const time = encodeEventTime(1_700_000_000_000);
        const expected = encoded.map((bytes, index) => {
          const seq = headSeq + 1 + index;
          return { firstSeq: seq, seq, bytes: stampEvent(bytes, seq, seq, time) };
        });
        expect(events).toEqual(expected);
        expect(packed).toEqual(packEvents(expected));
      }),
    );
  });

  it("is the wire form of RawEventBatch.events", () => {
    const events = stampEvents(
      [Uint8Array.of(0x3a, 0), new Uint8Array(200).fill(0).with(0, 0x3a).with(1, 0xc6).with(2, 1)],
      0,
      0,
    );
    const packed = packEvents(events);
    const batch = fromBinary(RawEventBatchSchema, packed);
    expect(batch.events).toEqual(events.map(({ bytes }) => bytes));
    expect(toBinary(RawEventBatchSchema, batch)).toEqual(packed);
  });

  it("refuses bytes that are cut short at any place", () => {
    const packed = packEvents(stampEvents([Uint8Array.of(0x3a, 2, 1, 2)], 0, 0));
    for (let length = 1; length < packed.length; length++) {
      expect(() => unpackEvents(packed.subarray(0, length))).toThrow(MalformedWire);
    }
  });

  it("refuses another field", () => {
    expect(() => unpackEvents(Uint8Array.of(0x12, 0))).toThrow(MalformedWire);
  });
});
