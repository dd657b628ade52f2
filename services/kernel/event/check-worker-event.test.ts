import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { checkWorkerEvent } from "./check-worker-event.ts";
import { encodeEventTime, stampEvent } from "./stamp-event.ts";

const serverBodies = [
  "messageReceived",
  "runQueued",
  "runStarted",
  "runResumed",
  "sessionUpdated",
  "omitted",
  "logTruncated",
  "historyTrimmed",
];
const bodies = EventSchema.oneofs[0]?.fields ?? [];

function encode(init: MessageInitShape<typeof EventSchema>): Uint8Array {
  return toBinary(EventSchema, create(EventSchema, { runId: "run-1", step: 1, attempt: 1, ...init }));
}

/** The event with an empty body of the field `number`. */
function encodeBody(number: number): Uint8Array {
  const tag = number * 8 + 2;
  const tagBytes = tag < 128 ? [tag] : [(tag % 128) | 128, tag >> 7];
  return Uint8Array.from([...encode({}), ...tagBytes, 0]);
}

describe("checking a worker's event", () => {
  it("knows every body of the contract, and allows those that a worker writes", () => {
    expect(bodies.length).toBeGreaterThan(20);
    for (const { number, localName } of bodies) {
      const check = checkWorkerEvent(encodeBody(number), "run-1");
      if (serverBodies.includes(localName)) {
        expect(check, localName).toEqual({ kind: "refused", problem: `a worker may not write field ${number}` });
      } else {
        expect(check, localName).toEqual({ kind: "allowed", body: number });
      }
    }
  });

  it.each([
    ["first_seq", encode({ firstSeq: 1n, body: { case: "usage", value: {} } })],
    ["seq", encode({ seq: 1n, body: { case: "usage", value: {} } })],
    ["time", encode({ time: {}, body: { case: "usage", value: {} } })],
    [
      "all of them, after the body",
      stampEvent(encode({ body: { case: "usage", value: {} } }), 1, 1, encodeEventTime(0)),
    ],
  ])("refuses the server's field %s", (_name, encoded) => {
    expect(checkWorkerEvent(encoded, "run-1")).toMatchObject({
      kind: "refused",
      problem: expect.stringContaining("set by the session service"),
    });
  });

  it("refuses an event without a body, with two, and with an unknown one", () => {
    expect(checkWorkerEvent(encode({}), "run-1")).toMatchObject({ problem: "the event has no body" });
    const two = Uint8Array.from([...encodeBody(7), 0x42, 0]);
    expect(checkWorkerEvent(two, "run-1")).toMatchObject({ problem: "the event has two bodies, fields 7 and 8" });
    expect(checkWorkerEvent(encodeBody(200), "run-1")).toMatchObject({ problem: "a worker may not write field 200" });
  });

  it("refuses an event of another run, of none, and of two", () => {
    const body = { case: "usage", value: {} } as const;
    expect(checkWorkerEvent(encode({ runId: "run-2", body }), "run-1")).toMatchObject({ kind: "refused" });
    expect(checkWorkerEvent(encode({ runId: "run-10", body }), "run-1")).toMatchObject({ kind: "refused" });
    expect(checkWorkerEvent(encode({ runId: "", body }), "run-1")).toMatchObject({ problem: "run_id is missing" });
    const twice = Uint8Array.from([...encode({ body }), ...encode({})]);
    expect(checkWorkerEvent(twice, "run-1")).toMatchObject({
      kind: "refused",
      problem: expect.stringMatching(/run_id/),
    });
  });

  it("refuses a tag over 32 bits, which decoders read as another field", () => {
    // 2^35 + 8: field 1 for a decoder that keeps the lower 32 bits.
    const wide = Uint8Array.from([...encodeBody(7), 0x88, 0x80, 0x80, 0x80, 0x80, 0x01, 0x05]);
    expect(checkWorkerEvent(wide, "run-1")).toMatchObject({ kind: "refused" });
  });

  it("refuses a body with the wrong wire type and a group", () => {
    expect(checkWorkerEvent(Uint8Array.from([...encode({}), 0x38, 1]), "run-1")).toMatchObject({ kind: "refused" });
    expect(checkWorkerEvent(Uint8Array.from([...encode({}), 0x3b, 0x3c]), "run-1")).toMatchObject({ kind: "refused" });
  });

  it("never throws, and what it allows decodes to that run, without server fields", () => {
    const damaged = fc
      .tuple(fc.constantFrom(...bodies.map(({ number }) => encodeBody(number))), fc.nat(40), fc.nat(255))
      .map(([bytes, at, value]) => (at < bytes.length ? bytes.with(at, value) : bytes));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), damaged), (bytes) => {
        const check = checkWorkerEvent(bytes, "run-1");
        if (check.kind === "allowed") {
          const event = fromBinary(EventSchema, bytes);
          expect(event).toMatchObject({ runId: "run-1", firstSeq: 0n, seq: 0n });
          expect(event.time).toBeUndefined();
          expect(bodies.find(({ number }) => number === check.body)?.localName).toBe(event.body.case);
        }
      }),
      { numRuns: 500 },
    );
  });
});
