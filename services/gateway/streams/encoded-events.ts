/**
 * Puts encoded events into a response without decoding them.
 *
 * For binary codecs the bytes ride as the field `events` (number 1) that the message would have written itself: encoded
 * once, at the worker, whatever the number of readers. For JSON they are decoded, because JSON is another encoding.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import type { HandlerContext } from "@connectrpc/connect";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import type { StoredEvent } from "../../kernel/event/stored-event.ts";

/** The field number of `events` in every message that carries them. */
const eventsField = 1;
const lengthDelimited = 2;

export type EventEncoding = "binary" | "json";

/** How the caller's codec writes messages. */
export function encodingOf(context: Pick<HandlerContext, "requestHeader">): EventEncoding {
  return context.requestHeader.get("content-type")?.includes("json") === true ? "json" : "binary";
}

export function setEvents(
  message: Pick<EventCarrier, "events" | "$unknown">,
  events: readonly StoredEvent[],
  encoding: EventEncoding,
): void {
  switch (encoding) {
    case "json":
      message.events = events.map(({ bytes }) => fromBinary(EventSchema, bytes));
      return;
    case "binary":
      message.$unknown = events.map(({ bytes }) => ({
        no: eventsField,
        wireType: lengthDelimited,
        data: new BinaryWriter().bytes(bytes).finish(),
      }));
  }
}

interface EventCarrier {
  events: Event[];
  $unknown?: { readonly no: number; readonly wireType: number; readonly data: Uint8Array }[] | undefined;
}
