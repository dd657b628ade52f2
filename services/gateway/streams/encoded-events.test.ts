import { create, fromBinary, fromJson, toBinary, toJson } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { ChatEventsSchema } from "../../../gen/atoll/gateway/v1/chat_pb.ts";
import { GatewayService, SubscribeResponseSchema } from "../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { sendWords, startSessionService } from "../../../test/support/session-service.ts";
import { encodeEvent } from "../../kernel/event/encode-event.ts";
import { stampEvents } from "../../kernel/event/wire/stamp-events.fixture.ts";
import { startTestGateway } from "../gateway.fixture.ts";
import { encodingOf, setEvents } from "./encoded-events.ts";

const texts = ["", "grün 🌊", "x".repeat(300), "y".repeat(70_000)];
const stored = stampEvents(
  texts.map((text, n) =>
    encodeEvent({
      runId: "run_1",
      step: 1,
      attempt: 1,
      body: { case: "textDelta", value: { blockId: "1.1.0", offset: BigInt(n), text } },
    }),
  ),
  41,
  1_800_000_000_000,
);
const typed = stored.map(({ bytes }) => fromBinary(EventSchema, bytes));

describe("events on their way to a client", () => {
  it.each([SubscribeResponseSchema, ChatEventsSchema])(
    "are read out of $typeName as if it had been written whole",
    (schema) => {
      const response = create(schema, { logId: "log_1", headSeq: 45n });
      setEvents(response, stored, "binary");
      expect(response.events).toEqual([]);
      const read = fromBinary(schema, toBinary(schema, response));
      expect(read).toEqual(
        fromBinary(schema, toBinary(schema, create(schema, { logId: "log_1", headSeq: 45n, events: typed }))),
      );
      expect(read.events.map(({ seq }) => seq)).toEqual([42n, 43n, 44n, 45n]);
      expect(read.$unknown).toBeUndefined();
    },
  );

  it("are the same in JSON", () => {
    const response = create(SubscribeResponseSchema, { logId: "log_1" });
    setEvents(response, stored, "json");
    const read = fromJson(SubscribeResponseSchema, toJson(SubscribeResponseSchema, response));
    expect(toBinary(SubscribeResponseSchema, read)).toEqual(
      toBinary(SubscribeResponseSchema, create(SubscribeResponseSchema, { logId: "log_1", events: typed })),
    );
  });

  it(`keep a body that this build does not know ${verifies("S7")}`, () => {
    const unknown = new Uint8Array([0xfa, 0x07, 2, 8, 1]);
    const [event] = stampEvents([unknown], 0, 1_800_000_000_000);
    if (event === undefined) throw new Error("there is one event");
    const response = create(SubscribeResponseSchema);
    setEvents(response, [event], "binary");
    const bytes = Buffer.from(toBinary(SubscribeResponseSchema, response));
    expect(bytes.includes(Buffer.from(unknown))).toBe(true);
    expect(fromBinary(SubscribeResponseSchema, bytes).events[0]?.seq).toBe(1n);
  });

  it.each([
    ["application/connect+proto", "binary"],
    ["application/grpc", "binary"],
    ["application/grpc-web+proto", "binary"],
    ["application/connect+json", "json"],
    ["application/grpc-web+json", "json"],
    [undefined, "binary"],
  ])("are written for %s as %s", (type, encoding) => {
    expect(encodingOf({ requestHeader: new Headers(type === undefined ? {} : { "content-type": type }) })).toBe(
      encoding,
    );
  });

  it(`are the same for a client of either codec, filtered ones included ${verifies("S1")}`, async () => {
    const session = await startSessionService();
    const gateway = await startTestGateway(session);
    const { sessionId } = await sendWords(session, "grün 🌊");
    const read = async (json: boolean, exclude: string[]) => {
      const control = new AbortController();
      const client = createClient(GatewayService, gateway.connect({ json }));
      for await (const { events } of client.subscribe({ sessionId, filter: { exclude } }, { signal: control.signal })) {
        control.abort();
        return events;
      }
      throw new Error("the stream had no answer");
    };
    expect(await read(true, [])).toEqual(await read(false, []));
    const hidden = await read(true, ["message_received"]);
    expect(hidden.map(({ body }) => body.case)).toContain("omitted");
    expect(hidden.map(({ firstSeq, seq }) => [firstSeq, seq])).toEqual(
      (await read(false, ["message_received"])).map(({ firstSeq, seq }) => [firstSeq, seq]),
    );
    for (const [n, event] of hidden.entries())
      expect(event.firstSeq).toBe(n === 0 ? 1n : (hidden[n - 1]?.seq ?? 0n) + 1n);
  });
});
