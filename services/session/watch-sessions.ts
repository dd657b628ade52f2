/**
 * Watch: many watchers on one stream.
 *
 * Keeps S1, S2 and S6 for each watcher. Keeps L7: frames on their way are bounded; a watcher whose client does not read
 * waits and then reads the log. A watcher that fails ends alone; the stream goes on.
 */
import { create } from "@bufbuild/protobuf";
import { ConnectError, type HandlerContext } from "@connectrpc/connect";
import { type RawWatchResponse, RawWatchResponseSchema } from "../../gen/atoll/internal/v1/raw_events_pb.ts";
import type { WatchCreate, WatchRequest } from "../../gen/atoll/session/v1/watch_pb.ts";
import { ErrorReason, failure, failureFacts, reasonName } from "../kernel/errors.ts";
import { scopeOf } from "../kernel/rpc/call-context.ts";
import { FrameQueue } from "../kernel/stream/frame-queue.ts";
import { tailLog } from "../kernel/stream/tail-log.ts";
import { checkCursor } from "./read-log.ts";
import { refuseUnserved, requireOpened, sessionNotFound } from "./read-session.ts";
import type { SessionDeps } from "./session-deps.ts";

/** Watchers of one stream. */
const maxWatchers = 10_000;
const pageEvents = 1_000;
const pageBytes = 262_144;

type Frame = Pick<RawWatchResponse, "frame">["frame"];

export async function* watchSessions(
  deps: SessionDeps,
  requests: AsyncIterable<WatchRequest>,
  context: HandlerContext,
): AsyncGenerator<RawWatchResponse> {
  const queue = new FrameQueue<Frame>();
  const watchers = new Map<bigint, AbortController>();
  const stop = (): void => {
    for (const watcher of watchers.values()) watcher.abort();
    queue.end();
  };
  context.signal.addEventListener("abort", stop, { once: true });
  const start = async (watch: WatchCreate): Promise<void> => {
    const { watchId } = watch;
    if (watchers.has(watchId) || watchers.size >= maxWatchers) {
      const problem = watchers.has(watchId)
        ? "is in use on this stream"
        : `is one more than the ${maxWatchers} of a stream`;
      await queue.push(cancelled(watchId, failure(ErrorReason.FIELD_INVALID, `watch_id ${watchId} ${problem}`)));
      return;
    }
    const control = new AbortController();
    watchers.set(watchId, control);
    try {
      await runWatcher(deps, watch, control.signal, queue, context);
      await queue.push({ case: "cancelled", value: cancelledInit(watchId) });
    } catch (error) {
      if (!(error instanceof ConnectError)) deps.log.error({ error: String(error) }, "a watcher failed");
      await queue.push(cancelled(watchId, error));
    } finally {
      watchers.delete(watchId);
    }
  };
  const read = async (): Promise<void> => {
    try {
      for await (const { frame } of requests) {
        if (frame.case === "create") void start(frame.value);
        else if (frame.case === "cancel") watchers.get(frame.value.watchId)?.abort();
      }
      // The client says no more, but goes on listening.
    } catch (error) {
      queue.end(error);
    }
  };
  void read();
  try {
    for await (const frame of queue) yield create(RawWatchResponseSchema, { frame });
  } finally {
    context.signal.removeEventListener("abort", stop);
    stop();
  }
}

async function runWatcher(
  deps: SessionDeps,
  watch: WatchCreate,
  signal: AbortSignal,
  queue: FrameQueue<Frame>,
  context: HandlerContext,
): Promise<void> {
  refuseUnserved("create.index", watch.target.case === "index");
  refuseUnserved("create.filter", watch.filter !== undefined);
  const sessionId = watch.target.case === "sessionId" ? watch.target.value : "";
  requireOpened(sessionId, context);
  const scope = scopeOf(context);
  const { watchId } = watch;
  const cursor = { logId: watch.cursor?.logId ?? "", afterSeq: Number(watch.cursor?.afterSeq ?? 0n) };
  let created = false;
  const tail = tailLog({
    afterSeq: cursor.afterSeq,
    clock: deps.clock,
    signal,
    progressIntervalMs: deps.settings.progressIntervalMs,
    source: {
      async read(afterSeq) {
        const page = await deps.store.readEvents(scope, sessionId, {
          afterSeq,
          maxEvents: pageEvents,
          maxBytes: pageBytes,
        });
        if (page.kind === "session-not-found") throw sessionNotFound({ sessionId });
        // Also later: the log may have been trimmed past a watcher that stayed behind.
        checkCursor(page, { ...cursor, afterSeq });
        if (!created) {
          created = true;
          const { logId, headSeq, oldestSeq } = page;
          cursor.logId = logId;
          await queue.push({
            case: "created",
            value: {
              $typeName: "atoll.session.v1.WatchCreated",
              watchId,
              logId,
              headSeq: BigInt(headSeq),
              oldestSeq: BigInt(oldestSeq),
            },
          });
        }
        return page;
      },
      subscribe: (_, listener) => ({
        deliveredSeq: undefined,
        unsubscribe: deps.bus.subscribe(scope.tenant, sessionId, listener),
      }),
    },
  });
  for await (const { events, logId, headSeq } of tail) {
    const frame: Frame =
      events.length === 0
        ? {
            case: "progress",
            value: { $typeName: "atoll.session.v1.WatchProgress", watchId, headSeq: BigInt(headSeq) },
          }
        : {
            case: "batch",
            value: {
              $typeName: "atoll.internal.v1.RawEventBatch",
              events: events.map((event) => event.bytes),
              watchId,
              logId,
              headSeq: BigInt(headSeq),
            },
          };
    if (!(await queue.push(frame))) return;
  }
}

function cancelled(watchId: bigint, error: unknown): Frame {
  const known =
    error instanceof ConnectError ? error : failure(ErrorReason.INTERNAL, "a fault of ours; the log has it");
  const { reason, metadata } = failureFacts(known);
  return {
    case: "cancelled",
    value: {
      ...cancelledInit(watchId),
      code: known.code,
      reason: reason === undefined ? "" : reasonName(reason),
      message: known.rawMessage,
      metadata: { ...metadata },
    },
  };
}

function cancelledInit(watchId: bigint) {
  return {
    $typeName: "atoll.session.v1.WatchCancelled" as const,
    watchId,
    code: 0,
    reason: "",
    message: "",
    metadata: {},
  };
}
