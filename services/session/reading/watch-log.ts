/**
 * One watcher of one session's log: from its cursor, then live.
 *
 * Keeps S1 and S2. Keeps S5: a cursor that can't be served, also one that a trimmed or replaced log leaves behind while it
 * is watched, ends the watcher with its reason, the oldest event and the head. Keeps S6: what a filter hides is a range.
 */
import type { RawWatchResponse } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import type { WatchCreate } from "../../../gen/atoll/session/v1/watch_pb.ts";
import { createEventFilter, type FilterEvents } from "../../kernel/event/filter-events.ts";
import type { Scope } from "../../kernel/store/scope.ts";
import { splitSlice } from "../../kernel/stream/split-slice.ts";
import { type LogSlice, tailLog } from "../../kernel/stream/tail-log.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { LogPage } from "../store/pages.ts";
import { checkCursor } from "./read-log.ts";
import { sessionNotFound } from "./read-session.ts";

const pageEvents = 1_000;
const pageBytes = 262_144;

export type WatchFrame = RawWatchResponse["frame"];

type Page = Extract<LogPage, { kind: "page" }>;
/** Where a log, or a feed, stands. */
type Place = Pick<Page, "logId" | "headSeq" | "oldestSeq">;

/** Ends when the signal aborts. Errors: FIELD_INVALID, SESSION_NOT_FOUND, LOG_REPLACED, CURSOR_AHEAD, HISTORY_TRIMMED. */
export async function* watchLog(
  deps: SessionDeps,
  scope: Scope,
  sessionId: string,
  watch: WatchCreate,
  signal: AbortSignal,
): AsyncGenerator<WatchFrame> {
  const { watchId } = watch;
  const filter = createEventFilter(watch.filter);
  const fromSeq = Number(watch.cursor?.afterSeq ?? 0n);
  let logId = watch.cursor?.logId ?? "";
  // Of the first page its place alone: a watcher may live for years, and must not hold what it began with.
  let began: Place | undefined;
  const read = async (afterSeq: number): Promise<Page> => {
    const range = { afterSeq, maxEvents: pageEvents, maxBytes: pageBytes };
    const page = await deps.store.readEvents(scope, sessionId, range);
    if (page.kind === "session-not-found") throw sessionNotFound({ sessionId });
    checkCursor(page, { logId, afterSeq });
    ({ logId } = page);
    began ??= { logId, headSeq: page.headSeq, oldestSeq: page.oldestSeq };
    return page;
  };
  const tail = tailLog({
    afterSeq: fromSeq,
    clock: deps.clock,
    signal,
    progressIntervalMs: deps.settings.progressIntervalMs,
    source: {
      read,
      subscribe: (_, listener) => ({
        deliveredSeq: undefined,
        unsubscribe: deps.bus.subscribe(scope.tenant, sessionId, (appended) =>
          // What is committed to another log is no hint for this one: reading tells what became of it.
          listener(appended.logId === logId ? appended : { ...appended, events: [] }),
        ),
      }),
    },
  });
  let isCreated = false;
  for await (const { events, headSeq } of tail) {
    if (!isCreated && began !== undefined) yield createdFrame(watchId, began);
    isCreated = true;
    if (events.length === 0) {
      yield progressFrame(watchId, headSeq);
      continue;
    }
    yield* batchFrames({ logId, events, headSeq }, watchId, filter);
  }
}

/** What was committed at once may be more than a client takes at once. Apart, so that a watcher that waits holds none of it. */
function* batchFrames(slice: LogSlice, watchId: bigint, filter: FilterEvents): Generator<WatchFrame> {
  for (const { logId, events, headSeq } of splitSlice(slice, pageBytes)) {
    yield {
      case: "batch",
      value: {
        $typeName: "atoll.internal.v1.RawEventBatch",
        events: filter(events).map(({ bytes }) => bytes),
        watchId,
        logId,
        headSeq: BigInt(headSeq),
      },
    };
  }
}

export function createdFrame(watchId: bigint, { logId, headSeq, oldestSeq }: Place): WatchFrame {
  const place = { logId, headSeq: BigInt(headSeq), oldestSeq: BigInt(oldestSeq) };
  return { case: "created", value: { $typeName: "atoll.session.v1.WatchCreated", watchId, ...place } };
}

export function progressFrame(watchId: bigint, headSeq: number): WatchFrame {
  return {
    case: "progress",
    value: { $typeName: "atoll.session.v1.WatchProgress", watchId, headSeq: BigInt(headSeq) },
  };
}
