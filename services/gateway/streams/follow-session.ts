/**
 * One reader of one session: its log from a cursor, then live, until it has enough.
 *
 * Keeps S1, S2 and S5. Keeps L7: what waits for a reader that is behind is bounded; it gets the log at its own pace. While the session service is away the reader waits for it, within a bound, and its stream stays
 * open.
 */
import type { HandlerContext } from "@connectrpc/connect";
import type { Cursor } from "../../../gen/atoll/session/v1/watch_pb.ts";
import { ErrorReason, failedWith } from "../../kernel/errors.ts";
import type { StoredEvent } from "../../kernel/event/stored-event.ts";
import { readEventRange } from "../../kernel/event/wire/read-event-range.ts";
import { onward, scopeOf } from "../../kernel/rpc/call-context.ts";
import { noteHeld } from "../../kernel/rpc/readers/reader-place.ts";
import { splitSlice } from "../../kernel/stream/split-slice.ts";
import { type LogSlice, tailLog } from "../../kernel/stream/tail-log.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import { endsRun, findRunEnd } from "./find-run-end.ts";
import type { SessionHub } from "./session-hub.ts";

/** A reader holds one page of the log at the most, and hands it on in parts. */
const pageEvents = 256;
const partBytes = 65_536;
/** How long a reader that has begun waits for a session service that is away. */
const maxAwayMs = 60_000;
const awayWaitMs = 250;
const awayReasons = [ErrorReason.PEER_UNAVAILABLE, ErrorReason.STORE_UNAVAILABLE, ErrorReason.DRAINING];

export interface FollowOptions {
  readonly sessionId: string;
  readonly cursor: Omit<Cursor, "$typeName">;
  readonly signal: AbortSignal;
  /** End after the terminal event of this run, also when it is trimmed or before the cursor; empty to go on. */
  readonly untilRunId: string;
  /** Called before the first slice, when the session is known to be there. */
  readonly onOpened?: (slice: LogSlice) => void;
}

export async function* followSession(
  deps: GatewayDeps,
  hub: SessionHub,
  options: FollowOptions,
  context: HandlerContext,
): AsyncGenerator<LogSlice> {
  const { sessionId, cursor, signal, untilRunId } = options;
  const { tenant } = scopeOf(context);
  // A reader outlives the deadline of the call that opened it (Chat), never its signal.
  const { contextValues } = onward(context);
  const call = { signal, ...(contextValues === undefined ? {} : { contextValues }) };
  const afterSeq = Number(cursor.afterSeq);
  let { logId } = cursor;
  let headSeq = 0;
  let opened = false;
  const readOnce = async (after: number): Promise<LogSlice> => {
    const page = await deps.session.listEvents(
      { sessionId, cursor: { logId, afterSeq: BigInt(after) }, pageSize: pageEvents },
      call,
    );
    const events: StoredEvent[] = page.events.map((bytes) => ({ ...readEventRange(bytes), bytes }));
    logId = page.logId;
    headSeq = Number(page.headSeq);
    return { logId, events, headSeq };
  };
  const read = async (after: number): Promise<LogSlice> => {
    const untilMs = deps.clock.monotonicMs() + maxAwayMs;
    for (;;) {
      try {
        const slice = await readOnce(after);
        if (!opened) options.onOpened?.(slice);
        opened = true;
        return slice;
      } catch (error) {
        if (!opened || !awayReasons.some((reason) => failedWith(error, reason)) || deps.clock.monotonicMs() >= untilMs)
          throw error;
        await deps.clock.sleep(awayWaitMs, signal);
      }
    }
  };
  const tail = tailLog({
    afterSeq,
    clock: deps.clock,
    signal,
    progressIntervalMs: deps.progressIntervalMs,
    source: {
      read,
      // From the head, wherever the reader stands: what is before it comes from the log, at the reader's own pace.
      subscribe: (_, listener) =>
        hub.subscribe({ tenant, sessionId, logId }, headSeq, (slice) =>
          // What is of another log is no hint for this one: reading tells what became of it.
          listener(slice.logId === logId ? slice : { logId, events: [], headSeq: 0 }),
        ),
    },
  });
  if (untilRunId === "") {
    for await (const slice of tail) yield* inParts(slice, context);
    return;
  }
  // Asked for once the first page is read: it knows then of all that the page shows, or no longer shows.
  let asked: RunEnd | undefined;
  for await (const slice of tail) {
    const end: RunEnd = asked ?? {
      runId: untilRunId,
      seq: await findRunEnd(deps, { sessionId, runId: untilRunId }, call),
    };
    asked = end;
    if (end.seq !== undefined && end.seq <= afterSeq) return;
    const at = slice.events.findIndex((event) => isAt(event, end));
    yield* inParts(at < 0 ? slice : { ...slice, events: slice.events.slice(0, at + 1) }, context);
    if (at >= 0) return;
  }
}

/** The parts of a slice; what waits behind each counts for the reader until it is written. */
function* inParts(slice: LogSlice, context: HandlerContext): Generator<LogSlice> {
  let leftBytes = slice.events.reduce((bytes, event) => bytes + event.bytes.length, 0);
  for (const part of splitSlice(slice, partBytes)) {
    leftBytes -= part.events.reduce((bytes, event) => bytes + event.bytes.length, 0);
    noteHeld(context, leftBytes);
    yield part;
  }
}

/** `seq` is undefined when the run had not ended as the reader began. */
interface RunEnd {
  readonly runId: string;
  readonly seq: number | undefined;
}

/** Whether the reader has reached the end with this event, which may stand for trimmed ones. */
function isAt(event: StoredEvent, { runId, seq }: RunEnd): boolean {
  return seq === undefined ? endsRun(event.bytes, runId) : event.seq >= seq;
}
