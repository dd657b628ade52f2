// The twins of proto/atoll/internal/v1: the same on the wire as their public siblings, so that hops pass events on
// without decoding them, and what the gateway writes without decoding is what a client reads.
import { create, type DescField, type DescMessage, fromBinary, fromJson, toBinary, toJson } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { describe, expect, test } from "vitest";
import { type Event, EventSchema } from "../../gen/atoll/event/v1/event_pb.ts";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { ChatEventsSchema } from "../../gen/atoll/gateway/v1/chat_pb.ts";
import { SubscribeResponseSchema } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import {
  file_atoll_internal_v1_raw_events,
  RawAppendBatchSchema,
  RawAttachRequestSchema,
  RawAttachResponseSchema,
  RawEventBatchSchema,
  RawEventPageSchema,
  RawRunOfferSchema,
  RawWatchResponseSchema,
} from "../../gen/atoll/internal/v1/raw_events_pb.ts";
import {
  AppendBatchSchema,
  AttachRequestSchema,
  AttachResponseSchema,
  RunOfferSchema,
} from "../../gen/atoll/session/v1/attach_pb.ts";
import { GetSnapshotResponseSchema, ListEventsResponseSchema } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { EventBatchSchema, WatchResponseSchema } from "../../gen/atoll/session/v1/watch_pb.ts";
import { encodingOf, setEvents } from "../../services/gateway/streams/encoded-events.ts";
import { verifies } from "../requirements.ts";

const twins: readonly (readonly [raw: DescMessage, sibling: DescMessage])[] = [
  [RawEventBatchSchema, EventBatchSchema],
  [RawWatchResponseSchema, WatchResponseSchema],
  [RawAppendBatchSchema, AppendBatchSchema],
  [RawAttachRequestSchema, AttachRequestSchema],
  [RawRunOfferSchema, RunOfferSchema],
  [RawAttachResponseSchema, AttachResponseSchema],
  [RawEventPageSchema, ListEventsResponseSchema],
  [RawEventPageSchema, GetSnapshotResponseSchema],
];

/** Everything of a field that the wire or a reader's code depends on; a twin's type is named as its sibling's. */
function describeField(field: DescField): unknown {
  const { number, name, fieldKind, presence } = field;
  const packed = field.fieldKind === "list" && field.packed;
  const type = field.scalar ?? field.enum?.typeName ?? siblingName(field.message?.typeName);
  const mapKey = field.fieldKind === "map" ? field.mapKey : undefined;
  const listKind = field.fieldKind === "list" ? field.listKind : undefined;
  return { number, name, fieldKind, listKind, type, mapKey, packed, presence, oneof: field.oneof?.name };
}

function siblingName(typeName: string | undefined): string | undefined {
  return twins.find(([raw]) => raw.typeName === typeName)?.[1].typeName ?? typeName;
}

/** Two-byte lengths, several alphabets, an unknown body (S7), a map, a wrapped message. */
const events: readonly Event[] = [
  create(EventSchema, {
    firstSeq: 1n,
    seq: 1n,
    body: { case: "textDelta", value: { blockId: "1.1.0", text: "Zürich 🚤" } },
  }),
  create(EventSchema, {
    ...{
      firstSeq: 2n,
      seq: 9n,
      runId: "run_1",
      step: 1,
      attempt: 2,
      time: { seconds: 1_795_000_000n, nanos: 5_000_000 },
    },
    body: { case: "textDelta", value: { blockId: "1.1.0", offset: 12n, text: "x".repeat(40_000) } },
  }),
  create(EventSchema, {
    ...{ firstSeq: 10n, seq: 10n, runId: "run_1" },
    body: {
      case: "toolCallProposed",
      value: {
        callId: "call_1",
        tool: "filesystem.read",
        argumentsJson: '{"deep":[1,null,{"a":true}],"path":"notes.md"}',
      },
    },
  }),
  create(EventSchema, {
    ...{ firstSeq: 11n, seq: 11n },
    $unknown: [{ no: 999, wireType: WireType.LengthDelimited, data: new BinaryWriter().string("of later").finish() }],
  }),
  create(EventSchema, {
    ...{ firstSeq: 12n, seq: 2n ** 53n - 1n, runId: "run_1" },
    body: { case: "runFinished", value: { status: RunStatus.COMPLETED } },
  }),
];
const encoded = events.map((event) => toBinary(EventSchema, event));

describe("twins of the messages that carry events", () => {
  test("every message of the internal package is pinned here", () => {
    const pinned = new Set(twins.map(([raw]) => raw.typeName));
    expect(new Set(file_atoll_internal_v1_raw_events.messages.map(({ typeName }) => typeName))).toEqual(pinned);
  });

  test.each(twins.map(([raw, sibling]) => ({ raw, sibling })))(
    "$raw.name has the fields of $sibling.name",
    ({ raw, sibling }) => {
      const isEvents = (field: DescField) => field.message?.typeName === EventSchema.typeName;
      const eventFields = sibling.fields.filter(isEvents);
      expect(raw.fields.filter((_, index) => !isEvents(sibling.fields[index] as DescField)).map(describeField)).toEqual(
        sibling.fields.filter((field) => !isEvents(field)).map(describeField),
      );
      expect(raw.fields).toHaveLength(sibling.fields.length);
      for (const { number, name, fieldKind } of eventFields) {
        expect(fieldKind).toBe("list");
        const twin = raw.fields.find((field) => field.number === number);
        expect(twin).toMatchObject({ number, name, fieldKind: "list", listKind: "scalar", scalar: 12 });
      }
      // Only the two frames of a stream carry their events one message deeper.
      expect(eventFields).toHaveLength(raw.oneofs.length === 0 ? 1 : 0);
    },
  );

  test("what one writes the other reads, and writes again byte by byte", () => {
    const rest = { sessionId: "ses_1", runId: "run_1", epoch: 3n, batchNo: 7n };
    const typed = toBinary(AppendBatchSchema, create(AppendBatchSchema, { events: [...events], ...rest }));
    const raw = fromBinary(RawAppendBatchSchema, typed);
    expect(raw).toMatchObject({ events: encoded, ...rest });
    expect(toBinary(RawAppendBatchSchema, raw)).toEqual(typed);
    expect(fromBinary(AppendBatchSchema, toBinary(RawAppendBatchSchema, raw))).toMatchObject({ events, ...rest });
  });

  test("a page of encoded events is a page of events", () => {
    const rest = { logId: "log_1", headSeq: 2n ** 53n - 1n, oldestSeq: 1n, nextPageToken: "next" };
    const bytes = toBinary(RawEventPageSchema, create(RawEventPageSchema, { events: encoded, ...rest }));
    expect(fromBinary(ListEventsResponseSchema, bytes)).toMatchObject({ events, ...rest });
    expect(fromBinary(GetSnapshotResponseSchema, bytes)).toMatchObject({ events, ...rest });
  });

  test("frames of streams carry them as well", () => {
    const batch = create(RawEventBatchSchema, { events: encoded, watchId: -1n, logId: "log_1", headSeq: 12n });
    const watch = create(RawWatchResponseSchema, { frame: { case: "batch", value: batch } });
    const response = fromBinary(WatchResponseSchema, toBinary(RawWatchResponseSchema, watch));
    expect(response.frame).toMatchObject({
      case: "batch",
      value: { events, watchId: -1n, logId: "log_1", headSeq: 12n },
    });
    expect(toBinary(WatchResponseSchema, response)).toEqual(toBinary(RawWatchResponseSchema, watch));

    const append = create(RawAppendBatchSchema, { events: encoded, runId: "run_1" });
    const attach = create(RawAttachRequestSchema, { frame: { case: "batch", value: append } });
    const request = fromBinary(AttachRequestSchema, toBinary(RawAttachRequestSchema, attach));
    expect(request.frame).toMatchObject({ case: "batch", value: { events, runId: "run_1" } });
  });
});

describe("encoded events in a response", () => {
  const stored = events.map((event, index) => ({
    firstSeq: Number(event.firstSeq),
    seq: Number(event.seq),
    bytes: encoded[index] ?? new Uint8Array(),
  }));
  const carriers = [SubscribeResponseSchema, ChatEventsSchema] as const;

  test.each(carriers)("$name reads the same from binary as if it had been encoded whole", (schema) => {
    const rest = { logId: "log_1", headSeq: 12n };
    const response = create(schema, rest);
    setEvents(response, stored, "binary");
    const read = fromBinary(schema, toBinary(schema, response));
    expect(read).toEqual(fromBinary(schema, toBinary(schema, create(schema, { ...rest, events: [...events] }))));
    expect(read.events).toEqual(events);
    expect(read.$unknown).toBeUndefined();
  });

  test.each(carriers)(`$name says the same in JSON ${verifies("S6")}`, (schema) => {
    const known = stored.filter((_, index) => events[index]?.body.case !== undefined);
    const [binary, json] = [create(schema, { logId: "log_1" }), create(schema, { logId: "log_1" })];
    setEvents(binary, known, "binary");
    setEvents(json, known, "json");
    const fromBytes = toJson(schema, fromBinary(schema, toBinary(schema, binary)));
    expect(toJson(schema, json)).toEqual(fromBytes);
    expect(fromJson(schema, toJson(schema, json))).toEqual(fromBinary(schema, toBinary(schema, binary)));
  });

  test(`keeps the place of an unknown body, in JSON too ${verifies("S7")}`, () => {
    const response = create(SubscribeResponseSchema);
    setEvents(response, stored, "json");
    const read = fromJson(SubscribeResponseSchema, toJson(SubscribeResponseSchema, response));
    expect(read.events.map(({ seq }) => seq)).toEqual(events.map(({ seq }) => seq));
  });

  test("leaves a sign of life without events", () => {
    const response = create(SubscribeResponseSchema, { headSeq: 5n });
    setEvents(response, [], "binary");
    expect(fromBinary(SubscribeResponseSchema, toBinary(SubscribeResponseSchema, response))).toEqual(
      create(SubscribeResponseSchema, { headSeq: 5n }),
    );
  });

  test.each([
    ["application/connect+json", "json"],
    ["application/grpc+json", "json"],
    ["application/grpc-web+json", "json"],
    ["application/connect+proto", "binary"],
    ["application/grpc", "binary"],
    ["application/grpc+proto", "binary"],
    ["application/grpc-web+proto", "binary"],
  ])("takes %s for %s", (contentType, encoding) => {
    expect(encodingOf({ requestHeader: new Headers({ "content-type": contentType }) })).toBe(encoding);
  });
});
