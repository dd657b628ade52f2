/** Logs for transcripts, an event a line. */
import { create, fromBinary } from "@bufbuild/protobuf";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import type { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { SessionSchema } from "../../../gen/atoll/session/v1/session_pb.ts";
import { type EventBody, encodeEvent } from "../../kernel/event/encode-event.ts";
import { stampEvents } from "../../kernel/event/wire/stamp-events.fixture.ts";
import { writeTranscript } from "./transcript.ts";

export const session = create(SessionSchema, {
  sessionId: "ses_1",
  agentId: "main",
  title: "Boats # [now](http://a.b)",
});

export async function transcript(pages: readonly (readonly Event[])[], of = session): Promise<string> {
  const serve = async function* () {
    yield* pages;
  };
  const paragraphs: string[] = [];
  for await (const paragraph of writeTranscript(of, serve())) paragraphs.push(paragraph);
  return paragraphs.join("\n\n");
}

export type Written = readonly [body: EventBody, place?: { runId?: string; step?: number; attempt?: number }];

export function logOf(...written: readonly Written[]): Event[] {
  const encoded = written.map(([body, place]) => encodeEvent({ runId: "run_1", step: 1, attempt: 1, ...place, body }));
  return stampEvents(encoded, 0, Date.UTC(2026, 0, 2)).map(({ bytes }) => fromBinary(EventSchema, bytes));
}

export const text = (words: string) => ({ block: { case: "text" as const, value: { text: words } } });

export const outside = { runId: "", step: 0, attempt: 0 };

export const said = (words: string, runId = "run_1"): Written => [
  {
    case: "messageReceived",
    value: { runId, messageId: words, content: [text(words)], origin: { principal: "user:ada" } },
  },
  outside,
];

export const started = (runId = "run_1"): Written => [
  { case: "runStarted", value: { agentId: "main" } },
  { runId, step: 0 },
];

export const step: Written = [{ case: "stepStarted", value: { model: "offline" } }];

export const ended = (status: RunStatus, more: object = {}, runId = "run_1"): Written => [
  { case: "runFinished", value: { status, ...more } },
  { runId },
];
