/**
 * What the beginning of a log says of a session, for a copy that ends there.
 *
 * Keeps R2 and F3 for the copy: it names every run that the beginning speaks of and does not end, with its open calls. A run begins with its first
 * message; a steered or collected message belongs to a run that has begun already. Where retention has removed the oldest
 * events, a run may be named only by what it did later: there, its first event that is kept begins it.
 */

import { fromBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import type { SessionState } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import type { StoredEvent } from "../../kernel/event/stored-event.ts";
import { readEventBody } from "../../kernel/event/wire/read-event-body.ts";
import { readEventRun } from "../../kernel/event/wire/read-event-run.ts";
import { isOfCalls, type OpenCall, OpenCalls } from "./open-calls.ts";

/** Field numbers of message_received, run_queued, run_started, run_resumed, run_finished and session_updated. */
const foldedBodies: ReadonlySet<number> = new Set([16, 17, 18, 20, 37, 38]);

/** A run that has not ended where the beginning ends. */
export interface OpenRun {
  readonly runId: string;
  /** How many times a worker took it up; 0 while it waits, or where no kept event says it. */
  readonly attempt: number;
  /** Its calls that have no outcome there. */
  readonly calls: readonly OpenCall[];
}

export class PrefixFold {
  readonly #isTrimmed: boolean;
  readonly #openRuns = new Map<string, Omit<OpenRun, "calls">>();
  readonly #calls = new Map<string, OpenCalls>();
  readonly #endedRuns = new Set<string>();
  messageCount = 0;
  /** Milliseconds since 1970; 0 before the first message. */
  lastMessageAtMs = 0;
  /** See SessionRow.contextFloorSeq; undefined when no event says it. */
  contextFloorSeq: number | undefined;
  /** What readers of the log take for the title; undefined when no event says it. */
  title: string | undefined;
  /** What readers of the log take for the state; undefined when no event says it. */
  state: SessionState | undefined;

  /** `isTrimmed`: the log does not begin with its first event any more. */
  constructor(isTrimmed: boolean) {
    this.#isTrimmed = isTrimmed;
  }

  /** In the order in which the events first name them. */
  get openRuns(): readonly OpenRun[] {
    return [...this.#openRuns.values()].map((run) => ({ ...run, calls: this.#calls.get(run.runId)?.all ?? [] }));
  }

  apply({ bytes }: StoredEvent): void {
    if (isOfCalls(bytes)) this.#applyToCalls(bytes);
    if (!foldedBodies.has(readEventBody(bytes))) {
      if (this.#isTrimmed) this.#meet(bytes);
      return;
    }
    const { body, runId, attempt, time } = fromBinary(EventSchema, bytes);
    switch (body.case) {
      case "messageReceived":
        this.messageCount += 1;
        this.lastMessageAtMs = time === undefined ? 0 : timestampMs(time);
        this.#open(body.value.runId);
        return;
      case "runQueued":
        this.#open(runId);
        return;
      case "runStarted":
      case "runResumed":
        this.#openRuns.set(runId, { runId, attempt });
        return;
      case "runFinished":
        this.#openRuns.delete(runId);
        this.#calls.delete(runId);
        this.#endedRuns.add(runId);
        return;
      case "sessionUpdated": {
        const { fields, title, state, contextFloorSeq } = body.value;
        if (fields.includes("title")) this.title = title;
        if (fields.includes("state")) this.state = state;
        if (fields.includes("context_floor_seq")) this.contextFloorSeq = Number(contextFloorSeq);
        return;
      }
      default:
        return;
    }
  }

  /** Takes an event that tells nothing new of a run when the log is whole. */
  #meet(bytes: Uint8Array): void {
    const runId = readEventRun(bytes);
    if (runId === "" || this.#endedRuns.has(runId)) return;
    const known = this.#openRuns.get(runId);
    if (known !== undefined && known.attempt > 0) return;
    const { attempt } = fromBinary(EventSchema, bytes);
    this.#openRuns.set(runId, { runId, attempt });
  }

  #applyToCalls(bytes: Uint8Array): void {
    const event = fromBinary(EventSchema, bytes);
    if (this.#endedRuns.has(event.runId)) return;
    const calls = this.#calls.get(event.runId) ?? new OpenCalls();
    this.#calls.set(event.runId, calls);
    calls.apply(event);
  }

  #open(runId: string): void {
    if (!this.#openRuns.has(runId)) this.#openRuns.set(runId, { runId, attempt: 0 });
  }
}
