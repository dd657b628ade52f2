/**
 * What a caller of AgentService.Run says first: frames of history, then the start.
 *
 * Keeps L7: events and bytes of a history are bounded, however many frames it comes in.
 */
import { toBinary } from "@bufbuild/protobuf";
import {
  type RunHistory,
  RunHistorySchema,
  type RunRequest,
  type RunStart,
} from "../../../gen/atoll/agent/v1/agent_service_pb.ts";
import type { Event } from "../../../gen/atoll/event/v1/event_pb.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";

export const maxHistoryEvents = 100_000;
const maxHistoryBytes = 64 * 1024 * 1024;

export interface Start {
  readonly start: RunStart;
  /** In order; empty when the caller has told nothing. */
  readonly history: readonly Event[];
}

/** Errors: FIELD_INVALID when another frame stands in front of the start; MESSAGE_TOO_LARGE for a history beyond its bound. */
export async function readStart(input: AsyncIterator<RunRequest>): Promise<Start> {
  const history: Event[] = [];
  let bytes = 0;
  for (let next = await input.next(); next.done !== true; next = await input.next()) {
    const { frame } = next.value;
    if (frame.case === "start") return { start: frame.value, history };
    if (frame.case !== "history") break;
    bytes += sizeOf(frame.value);
    if (history.length + frame.value.events.length > maxHistoryEvents || bytes > maxHistoryBytes) throw tooLarge();
    for (const event of frame.value.events) history.push(event);
  }
  const problem = "the first one must be start, or history and then start";
  throw failure(ErrorReason.FIELD_INVALID, `frame: ${problem}`, { fields: [{ path: "frame", problem }] });
}

function sizeOf(history: RunHistory): number {
  return toBinary(RunHistorySchema, history).byteLength;
}

function tooLarge(): Error {
  return failure(
    ErrorReason.MESSAGE_TOO_LARGE,
    `the history has more than ${maxHistoryEvents} events or ${maxHistoryBytes} bytes: send its newest events alone`,
    { metadata: { limit_bytes: String(maxHistoryBytes) } },
  );
}
