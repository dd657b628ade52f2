/**
 * A session's events, from a cursor and then live, over any number of broken streams. Keeps S1 and S2: never an event
 * twice, never a gap. Keeps L7: backoff 100 ms–10 s, after the wait that the mesh asked for, if any (at most 5 min); a
 * stream that is silent for too long counts as broken.
 */
import type { Client } from "@connectrpc/connect";
import { ConnectError } from "@connectrpc/connect";
import type { Event } from "../../gen/atoll/event/v1/event_pb.ts";
import type { GatewayService, SubscribeResponse } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import type { EventFilter } from "../../gen/atoll/session/v1/watch_pb.ts";
import { backoffMs, waitFor } from "./backoff.ts";
import { placeRange, rangeOf } from "./fold/seq-range.ts";
import { type Breakage, judgeBreakage, type StartOverReason } from "./judge-breakage.ts";
import { openWatchdog, type Watchdog } from "./silence-watchdog.ts";

/** A place in a log. */
export interface Cursor {
  /** The log that `afterSeq` belongs to; empty for the session's present one. */
  readonly logId: string;
  /** Everything after this seq is wanted; 0 for all. */
  readonly afterSeq: number;
}

export type ConnectionState =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  | { readonly kind: "waiting"; readonly retryInMs: number; readonly reason: string }
  | { readonly kind: "ended"; readonly why: "stopped" | "run finished" | "unauthenticated" | "failed" };

export type Delivery =
  | {
      readonly kind: "events";
      /** At least one; each follows the one before it (S1). */
      readonly events: readonly Event[];
      /** Whether the first one may begin at or before what was delivered before (S2): fold with resumeFold(). */
      readonly resumed: boolean;
      /** Where to go on after these events, also days later. */
      readonly cursor: Cursor;
      /** The head when they were sent; the reader has caught up when it is the last event's seq. */
      readonly headSeq: number;
    }
  /** What was delivered before is void, and the log comes again from its beginning: fold with createFold(). */
  | { readonly kind: "startOver"; readonly reason: StartOverReason; readonly message: string };

export interface SubscribeOptions {
  readonly client: Pick<Client<typeof GatewayService>, "subscribe">;
  readonly sessionId: string;
  /** Default: from the beginning of the session's present log. */
  readonly cursor?: Cursor;
  /** Which bodies; the rest comes as Omitted ranges. Default: all. */
  readonly filter?: EventFilter;
  /** End after the terminal event of this run. Default: go on. */
  readonly untilRunId?: string;
  /** Ends the subscription. Default: never. */
  readonly signal?: AbortSignal;
  /** Is told every change of the connection. */
  readonly onState?: (state: ConnectionState) => void;
  /** How long a stream may be silent. Default 45 000 ms; a gateway gives a sign of life every 15 s. */
  readonly silenceTimeoutMs?: number;
  /** For backoff; from 0 to below 1. Default: Math.random. */
  readonly random?: () => number;
}

/** A stream that lived this long was healthy, whatever it brought: backoff starts anew. */
const healthyAfterMs = 10_000;
/** How long the end of a stream may take behind the end of its run. */
const endTimeoutMs = 1_000;

/**
 * Subscribes. Returns when the signal is aborted or the run of `untilRunId` has ended. Throws ConnectError when the
 * token is not valid (UNAUTHENTICATED) and when trying again does not help (for example NOT_FOUND
 * SESSION_NOT_FOUND); onState is told first.
 */
export async function* subscribeEvents(options: SubscribeOptions): AsyncGenerator<Delivery, void, undefined> {
  const { signal, untilRunId = "", random, onState = () => {} } = options;
  let cursor = options.cursor ?? { logId: "", afterSeq: 0 };
  let failures = 0;
  let emptyEnds = 0;
  while (!signal?.aborted) {
    onState({ kind: "connecting" });
    const beganAt = performance.now();
    let delivered = 0;
    let wasLive = false;
    let breakage: Breakage = { kind: "resume", reason: "stream ended", afterMs: 0 };
    const watchdog = openWatchdog(signal, options.silenceTimeoutMs ?? 45_000);
    const live = () => {
      if (!wasLive) onState({ kind: "live" });
      wasLive = true;
    };
    try {
      const stream = openStream(options, cursor, watchdog.signal, live);
      while (true) {
        watchdog.listen();
        const next = await stream.next();
        watchdog.pause();
        if (next.done) break;
        live();
        const response: SubscribeResponse = next.value;
        if (cursor.logId !== "" && response.logId !== "" && response.logId !== cursor.logId) {
          breakage = { kind: "startOver", reason: "LOG_REPLACED", message: "The session's history was replaced." };
          break;
        }
        const { events, hasGap } = takeNew(response.events, cursor.afterSeq, delivered === 0);
        const last = events.at(-1);
        if (last !== undefined) {
          cursor = { logId: response.logId || cursor.logId, afterSeq: Number(last.seq) };
          const resumed = delivered === 0;
          delivered += events.length;
          yield { kind: "events", events, resumed, cursor, headSeq: Number(response.headSeq) };
          if (events.some((event) => untilRunId !== "" && isEndOf(event, untilRunId))) {
            await readOut(stream, watchdog);
            return onState({ kind: "ended", why: "run finished" });
          }
        }
        if (hasGap) {
          breakage = { kind: "resume", reason: "events were missing", afterMs: 0 };
          break;
        }
      }
      emptyEnds = wasLive && delivered === 0 && breakage.kind === "resume" ? emptyEnds + 1 : 0;
      // Two streams that end whole and bring nothing: the run had ended at or before the cursor. One alone may be a
      // gateway that drains.
      if (untilRunId !== "" && emptyEnds === 2) return onState({ kind: "ended", why: "run finished" });
    } catch (thrown) {
      emptyEnds = 0;
      breakage = watchdog.wasSilent()
        ? { kind: "resume", reason: "silence", afterMs: 0 }
        : judgeBreakage(thrown, wasLive);
    } finally {
      watchdog.close();
    }
    if (signal?.aborted) break;

    if (breakage.kind === "unauthenticated" || breakage.kind === "failed") {
      onState({ kind: "ended", why: breakage.kind });
      throw breakage.error;
    }
    if (breakage.kind === "startOver") {
      if (cursor.afterSeq === 0 && cursor.logId === "") {
        onState({ kind: "ended", why: "failed" });
        throw new ConnectError(`The log has no readable beginning: ${breakage.message}`);
      }
      cursor = { logId: "", afterSeq: 0 };
      yield breakage;
    }
    failures = delivered > 0 || (wasLive && performance.now() - beganAt > healthyAfterMs) ? 1 : failures + 1;
    const askedMs = breakage.kind === "resume" ? breakage.afterMs : 0;
    const retryInMs = Math.ceil(askedMs) + backoffMs(failures, random);
    onState({ kind: "waiting", retryInMs, reason: breakage.reason });
    await waitFor(retryInMs, signal);
  }
  onState({ kind: "ended", why: "stopped" });
}

function openStream(
  { client, sessionId, filter, untilRunId }: SubscribeOptions,
  { logId, afterSeq }: Cursor,
  signal: AbortSignal,
  onHeader: () => void,
): AsyncIterator<SubscribeResponse> {
  const request = {
    sessionId,
    logId,
    afterSeq: BigInt(afterSeq),
    ...(filter && { filter }),
    ...(untilRunId && { untilRunId }),
  };
  return client.subscribe(request, { signal, onHeader })[Symbol.asyncIterator]();
}

/**
 * Reads to the end that the gateway makes behind a run. A stream that is let go when its end has arrived and was not
 * read stays open in Node, and holds the connection and the process.
 */
async function readOut(stream: AsyncIterator<SubscribeResponse>, watchdog: Watchdog): Promise<void> {
  const timer = setTimeout(watchdog.close, endTimeoutMs);
  try {
    while (!(await stream.next()).done);
  } catch {
    // Broken, or let go after its time: all that was wanted had come.
  } finally {
    clearTimeout(timer);
  }
}

/** The events that were not delivered yet, up to the first gap. On a new stream the first may overlap (S2). */
function takeNew(
  events: readonly Event[],
  afterSeq: number,
  isStart: boolean,
): { readonly events: readonly Event[]; readonly hasGap: boolean } {
  const taken: Event[] = [];
  let seq = afterSeq;
  for (const event of events) {
    const range = rangeOf(event);
    const place = placeRange(range, seq);
    if (place === "repeat") continue;
    if (place === "gap" || (place === "overlap" && !(isStart && taken.length === 0))) {
      return { events: taken, hasGap: true };
    }
    taken.push(event);
    seq = range.last;
  }
  return { events: taken, hasGap: false };
}

function isEndOf(event: Event, runId: string): boolean {
  return event.body.case === "runFinished" && event.runId === runId;
}
