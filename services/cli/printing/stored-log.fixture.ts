/** Small logs as the store has them, for tests of what is printed. */
import { fromBinary } from "@bufbuild/protobuf";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { type EventBody, encodeEvent } from "../../kernel/event/encode-event.ts";
import type { StoredEvent } from "../../kernel/event/stored-event.ts";
import { stampEvents } from "../../kernel/event/wire/stamp-events.fixture.ts";

export const decode = (events: readonly StoredEvent[]) => events.map(({ bytes }) => fromBinary(EventSchema, bytes));

/** A run's events, all of its first step. */
export function logOf(...bodies: readonly EventBody[]): readonly StoredEvent[] {
  return stepsOf(...bodies.map((body) => [1, body] as const));
}

/** The same, each with its step. */
export function stepsOf(...bodies: readonly (readonly [step: number, body: EventBody])[]): readonly StoredEvent[] {
  const encoded = bodies.map(([step, body]) => encodeEvent({ runId: "run_1", step, attempt: 1, body }));
  return stampEvents(encoded, 0, 1_000);
}

export const delta = (offset: number, text: string, blockId = "1.1.0"): EventBody => ({
  case: "textDelta",
  value: { blockId, offset: BigInt(offset), text },
});

/** The deltas of one block. */
export function textLog(texts: readonly string[]): readonly StoredEvent[] {
  const offsetOf = (index: number) => Buffer.byteLength(texts.slice(0, index).join(""));
  return logOf(...texts.map((text, index) => delta(offsetOf(index), text)));
}

/** What a stream that resumes at a cursor brings of the log as it is then. */
export const resumeAt = (log: readonly StoredEvent[], seq: number): Event[] =>
  decode(log.filter((event) => event.seq > seq));
