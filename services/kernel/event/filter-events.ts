/** Hides the bodies that a reader did not ask for. Keeps S6: hidden events become Omitted ranges, so the stream stays dense. */
import { EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import type { EventFilter } from "../../../gen/atoll/session/v1/watch_pb.ts";
import { ErrorReason, failure } from "../errors.ts";
import { encodeEvent } from "./encode-event.ts";
import { readEventBody } from "./read-event-body.ts";
import { encodeEventTime, stampEvent } from "./stamp-event.ts";
import type { StoredEvent } from "./stored-event.ts";

const bodyFields = new Map(
  EventSchema.oneofs.flatMap((oneof) => oneof.fields.map((field) => [field.name, field.number])),
);

export type FilterEvents = (events: readonly StoredEvent[]) => readonly StoredEvent[];

/** Errors: FIELD_INVALID when a name is no body of an event. */
export function createEventFilter(filter: EventFilter | undefined): FilterEvents {
  if (filter === undefined || filter.include.length + filter.exclude.length === 0) return (events) => events;
  const included = new Set(filter.include.map((name, index) => fieldOf(name, `filter.include[${index}]`)));
  const excluded = new Set(filter.exclude.map((name, index) => fieldOf(name, `filter.exclude[${index}]`)));
  const isShown = (body: number): boolean => (included.size === 0 || included.has(body)) && !excluded.has(body);
  return (events) => {
    const shown: StoredEvent[] = [];
    let hidden: StoredEvent[] = [];
    const omit = (): void => {
      const first = hidden[0];
      const last = hidden.at(-1);
      if (first !== undefined && last !== undefined) shown.push(omitted(first.firstSeq, last.seq));
      hidden = [];
    };
    for (const event of events) {
      if (isShown(readEventBody(event.bytes))) {
        omit();
        shown.push(event);
      } else {
        hidden.push(event);
      }
    }
    omit();
    return shown;
  };
}

function fieldOf(name: string, path: string): number {
  const field = bodyFields.get(name);
  if (field !== undefined) return field;
  const problem = `no such body of an event: ${name}; expected a field name such as text_delta`;
  throw failure(ErrorReason.FIELD_INVALID, `${path}: ${problem}`, { fields: [{ path, problem }] });
}

function omitted(firstSeq: number, seq: number): StoredEvent {
  const encoded = encodeEvent({ body: { case: "omitted", value: { count: BigInt(seq - firstSeq + 1) } } });
  return { firstSeq, seq, bytes: stampEvent(encoded, firstSeq, seq, encodeEventTime(Date.now())) };
}
