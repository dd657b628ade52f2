/**
 * One reader of one session: its log from a cursor, then live, until it has enough.
 *
 * Keeps S1, S2 and S5. Keeps L7: what waits for a reader that is behind is bounded; it gets the log at its own pace. While the session service is away the reader waits for it, within a bound, and its stream stays
 * open.
 */
import { fromBinary } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { EventSchema } from "../../gen/atoll/event/v1/event_pb.ts";
import type { Cursor } from "../../gen/atoll/session/v1/watch_pb.ts";
import { ErrorReason, failedWith } from "../kernel/errors.ts";
import { readEventBody } from "../kernel/event/read-event-body.ts";
import { readEventRange } from "../kernel/event/read-event-range.ts";
import type { StoredEvent } from "../kernel/event/stored-event.ts";
import { onward, scopeOf } from "../kernel/rpc/call-context.ts";
import { splitSlice } from "../kernel/stream/split-slice.ts";
import { type LogSlice, tailLog } from "../kernel/stream/tail-log.ts";
import type { GatewayDeps } from "./gateway-deps.ts";
import type { SessionHub } from "./session-hub.ts";

/** A reader holds one page of the log at the most, and hands it on in parts. */
const pageEvents = 256;
const partBytes = 65_536;
/** How long a reader that has begun waits for a session service that is away. */
const maxAwayMs = 60_000;
const awayWaitMs = 250;
/** Field number of atoll.event.v1.Event.run_finished. */
const runFinishedField = 37;

export interface FollowOptions {
  readonly sessionId: string;
  readonly cursor: Omit<Cursor, "$typeName">;
  readonly signal: AbortSignal;
  /** End after the terminal event of this run; empty to go on. */
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
  let opened = false;
  const readOnce = async (after: number): Promise<LogSlice> => {
    const page = await deps.session.listEvents(
      { sessionId, cursor: { logId, afterSeq: BigInt(after) }, pageSize: pageEvents },
      call,
    );
    const events: StoredEvent[] = page.events.map((bytes) => ({ ...readEventRange(bytes), bytes }));
    logId = page.logId;
    return { logId, events, headSeq: Number(page.headSeq) };
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
        const isAway =
          failedWith(error, ErrorReason.PEER_UNAVAILABLE) || failedWith(error, ErrorReason.STORE_UNAVAILABLE);
        if (!opened || !isAway || deps.clock.monotonicMs() >= untilMs) throw error;
        await deps.clock.sleep(awayWaitMs, signal);
      }
    }
  };
  if (untilRunId !== "" && (await endedBefore(deps, untilRunId, afterSeq, call))) return;
  const tail = tailLog({
    afterSeq,
    clock: deps.clock,
    signal,
    progressIntervalMs: deps.progressIntervalMs,
    source: {
      read,
      subscribe: (after, listener) => hub.subscribe({ tenant, sessionId, logId }, after, listener),
    },
  });
  for await (const slice of tail) {
    const end = untilRunId === "" ? -1 : slice.events.findIndex((event) => endsRun(event, untilRunId));
    yield* splitSlice(end < 0 ? slice : { ...slice, events: slice.events.slice(0, end + 1) }, partBytes);
    if (end >= 0) return;
  }
}

function endsRun({ bytes }: StoredEvent, runId: string): boolean {
  return readEventBody(bytes) === runFinishedField && fromBinary(EventSchema, bytes).runId === runId;
}

async function endedBefore(
  deps: GatewayDeps,
  runId: string,
  afterSeq: number,
  call: Parameters<GatewayDeps["session"]["getRun"]>[1],
): Promise<boolean> {
  const { run } = await deps.session.getRun({ runId }, call);
  const finishedSeq = Number(run?.finishedSeq ?? 0n);
  return finishedSeq > 0 && finishedSeq <= afterSeq;
}
