import { create, fromBinary, getOption, type MessageInitShape, toBinary, toJson } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { Writer, writer } from "../../../gen/atoll/event/v1/writer_pb.ts";
import { checkWorkerEvent } from "./check-worker-event.ts";
import { jsonRegistry } from "./json-registry.ts";
import { encodeEventTime, stampEvent } from "./wire/stamp-event.ts";

const serverBodies = [
  "messageReceived",
  "runQueued",
  "runStarted",
  "runResumed",
  "approvalResolved",
  "questionAnswered",
  "sessionUpdated",
  "omitted",
  "logTruncated",
  "historyTrimmed",
];
const bodies = EventSchema.oneofs[0]?.fields ?? [];

function encode(init: MessageInitShape<typeof EventSchema>): Uint8Array {
  return toBinary(EventSchema, create(EventSchema, { runId: "run-1", step: 1, attempt: 1, ...init }));
}

/** The event with a body of the field `number`, empty or of these bytes (fewer than 128). */
function encodeBody(number: number, inside: readonly number[] = []): Uint8Array {
  const tag = number * 8 + 2;
  const tagBytes = tag < 128 ? [tag] : [(tag % 128) | 128, tag >> 7];
  return Uint8Array.from([...encode({}), ...tagBytes, inside.length, ...inside]);
}

describe("checking a worker's event", () => {
  it("knows every body of the contract, and allows those that a worker writes", () => {
    expect(bodies.length).toBeGreaterThan(20);
    for (const field of bodies) {
      const { number, localName } = field;
      const check = checkWorkerEvent(encodeBody(number), "run-1");
      if (serverBodies.includes(localName)) {
        expect(check, localName).toEqual({ kind: "refused", problem: `a worker may not write field ${number}` });
        expect(getOption(field, writer), localName).toBe(Writer.MESH);
      } else {
        expect(check, localName).toMatchObject({ kind: "allowed" });
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

  it.each([
    ["text_delta that is cut short", 7, [0x1a, 0x7f]],
    ["thinking_delta whose offset is cut short", 8, [0x10, 0x80]],
    ["text_delta whose text is no UTF-8", 7, [0x1a, 1, 0xc3]],
    ["text_delta with half a surrogate pair", 7, [0x1a, 3, 0xed, 0xa0, 0x80]],
    ["thinking_delta whose block id is no UTF-8", 8, [0x0a, 1, 0xff]],
    ["text_delta whose text is a number", 7, [0x18, 1]],
    ["text_delta whose offset is a string", 7, [0x12, 0]],
    ["text_delta with a group", 7, [0x23, 0x24]],
    ["block_completed that is cut short", 9, [0x25, 0]],
    ["tool_call_finished whose content is cut short", 27, [0x1a, 3, 0x0a]],
    ["run_finished that is no message", 37, [0xff]],
    ["run_parked until the year 33658, which JSON can't say", 19, [0x1a, 7, 0x08, 128, 160, 148, 165, 141, 29]],
  ])("refuses a %s", (_name, number, inside) => {
    expect(checkWorkerEvent(encodeBody(number, inside), "run-1")).toMatchObject({ kind: "refused" });
  });

  it("allows a delta with a field of a later version (S7), and any text that is UTF-8", () => {
    expect(checkWorkerEvent(encodeBody(7, [0x7a, 1, 0xff, 0x28, 1]), "run-1")).toMatchObject({ kind: "allowed" });
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (text, offset) => {
        const encoded = encode({ body: { case: "thinkingDelta", value: { blockId: "1.1.0", offset, text } } });
        expect(checkWorkerEvent(encoded, "run-1")).toMatchObject({ kind: "allowed", decoded: undefined });
      }),
    );
  });

  it("gives the event, decoded, of every other kind", () => {
    const body = { case: "stepStarted" as const, value: { messageIds: ["msg-1"] } };
    expect(checkWorkerEvent(encode({ body }), "run-1")).toMatchObject({ decoded: { runId: "run-1", body } });
  });

  it("never throws, and what it allows decodes to that run, without server fields", () => {
    const damaged = fc
      .tuple(
        fc.constantFrom(...bodies.map(({ number }) => number)),
        fc.uint8Array({ maxLength: 12 }),
        fc.nat(40),
        fc.nat(255),
      )
      .map(([number, inside, at, value]) => [encodeBody(number, [...inside]), at, value] as const)
      .map(([bytes, at, value]) => (at < bytes.length ? bytes.with(at, value) : bytes));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), damaged), (bytes) => {
        const check = checkWorkerEvent(bytes, "run-1");
        if (check.kind === "allowed") {
          const event = fromBinary(EventSchema, bytes);
          expect(event).toMatchObject({ runId: "run-1", firstSeq: 0n, seq: 0n });
          expect(event.time).toBeUndefined();
          expect(check.decoded ?? event).toEqual(event);
          expect(() => toJson(EventSchema, event, { registry: jsonRegistry })).not.toThrow();
        }
      }),
      { numRuns: 500 },
    );
  });
});
