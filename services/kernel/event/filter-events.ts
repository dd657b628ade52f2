/**
 * Hides the bodies that a reader did not ask for.
 *
 * Keeps S6: hidden events become Omitted ranges, so the stream stays dense, and an Omitted is made of what it hides alone
 * (its time is the one of the last hidden event), so that every reader of the same events gets the same bytes. Keeps S4:
 * what says that events are lost, trimmed or hidden is never hidden itself.
 */
import { EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import type { EventFilter } from "../../../gen/atoll/session/v1/watch_pb.ts";
import { ErrorReason, failure } from "../errors.ts";
import { encodeEvent } from "./encode-event.ts";
import type { StoredEvent } from "./stored-event.ts";
import { readEventBody } from "./wire/read-event-body.ts";
import { readEventTime } from "./wire/read-event-time.ts";
import { stampEvent } from "./wire/stamp-event.ts";

const bodyFields = new Map(
  EventSchema.oneofs.flatMap((oneof) => oneof.fields.map((field) => [field.name, field.number])),
);

/** Ranges without a body of their own; a filter can't hide them. */
const alwaysShown: ReadonlySet<number> = new Set(
  ["omitted", "log_truncated", "history_trimmed"].map((name) => fieldOf(name, "")),
);

/** Gives as many numbers as it got: the first begins and the last ends where they did before. */
export type FilterEvents = (events: readonly StoredEvent[]) => readonly StoredEvent[];

/**
 * @param path Where the filter stands in the caller's message. Default `filter`.
 *
 * Errors: FIELD_INVALID when a name is no body of an event, or one that can't be hidden is excluded.
 */
export function createEventFilter(
  filter: Pick<EventFilter, "include" | "exclude"> | undefined,
  path = "filter",
): FilterEvents {
  if (filter === undefined || filter.include.length + filter.exclude.length === 0) return (events) => events;
  const included = new Set(filter.include.map((name, index) => fieldOf(name, `${path}.include[${index}]`)));
  const excluded = new Set(filter.exclude.map((name, index) => hideableFieldOf(name, `${path}.exclude[${index}]`)));
  const isShown = (body: number): boolean =>
    alwaysShown.has(body) || ((included.size === 0 || included.has(body)) && !excluded.has(body));
  return (events) => {
    const shown: StoredEvent[] = [];
    let hidden: StoredEvent[] = [];
    const omit = (): void => {
      const [first] = hidden;
      const last = hidden.at(-1);
      if (first !== undefined && last !== undefined) shown.push(omitted(first.firstSeq, last));
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

function hideableFieldOf(name: string, path: string): number {
  const field = fieldOf(name, path);
  if (alwaysShown.has(field)) throw invalid(path, `${name} says what is missing and is always sent: leave it out`);
  return field;
}

function fieldOf(name: string, path: string): number {
  const field = bodyFields.get(name);
  if (field !== undefined) return field;
  throw invalid(path, `no such body of an event: ${name}; expected a field name such as text_delta`);
}

function invalid(path: string, problem: string): Error {
  return failure(ErrorReason.FIELD_INVALID, `${path}: ${problem}`, { fields: [{ path, problem }] });
}

function omitted(firstSeq: number, { seq, bytes }: StoredEvent): StoredEvent {
  const encoded = encodeEvent({ body: { case: "omitted", value: { count: BigInt(seq - firstSeq + 1) } } });
  return { firstSeq, seq, bytes: stampEvent(encoded, firstSeq, seq, readEventTime(bytes)) };
}
