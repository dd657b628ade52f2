/**
 * Watch: many watchers on one stream, each of one session's log or of the tenant's index.
 *
 * A watcher that fails ends alone, with its reason; the stream goes on. Keeps L7: watchers and frames on their way are
 * bounded; a watcher whose client does not read waits and then reads the log, and while refusals wait to be written
 * nothing more is read from the client. A client that half-closes is heard out: the stream ends with its last watcher.
 */
import { create } from "@bufbuild/protobuf";
import { ConnectError, type HandlerContext } from "@connectrpc/connect";
import { type RawWatchResponse, RawWatchResponseSchema } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import type { WatchCreate, WatchRequest } from "../../../gen/atoll/session/v1/watch_pb.ts";
import { ErrorReason, failure, failureFacts } from "../../kernel/errors.ts";
import { scopeOf, traceIdOf } from "../../kernel/rpc/call-context.ts";
import { storeFailure } from "../../kernel/rpc/gate/store-failure.ts";
import { LogDamaged, StoreUnavailable } from "../../kernel/store/store-errors.ts";
import { FrameQueue } from "../../kernel/stream/frame-queue.ts";
import type { SessionDeps } from "../session-deps.ts";
import { requireOpened, requireUnbound } from "./read-session.ts";
import { watchIndex } from "./watch-index.ts";
import { type WatchFrame, watchLog } from "./watch-log.ts";

export async function* watchSessions(
  deps: SessionDeps,
  requests: AsyncIterable<WatchRequest>,
  context: HandlerContext,
): AsyncGenerator<RawWatchResponse> {
  const stream = new WatchStream(deps, context);
  void stream.readAll(requests);
  try {
    for await (const frame of stream.frames) yield create(RawWatchResponseSchema, { frame });
  } finally {
    stream.close();
  }
}

class WatchStream {
  readonly frames = new FrameQueue<WatchFrame>();
  readonly #deps: SessionDeps;
  readonly #context: HandlerContext;
  readonly #watchers = new Map<bigint, AbortController>();
  #isHalfClosed = false;

  constructor(deps: SessionDeps, context: HandlerContext) {
    this.#deps = deps;
    this.#context = context;
    context.signal.addEventListener("abort", () => this.close(), { once: true });
  }

  async readAll(requests: AsyncIterable<WatchRequest>): Promise<void> {
    try {
      for await (const { frame } of requests) {
        if (frame.case === "create") await this.#create(frame.value);
        else if (frame.case === "cancel") this.#watchers.get(frame.value.watchId)?.abort();
      }
      this.#isHalfClosed = true;
      this.#endWhenOver();
    } catch (error) {
      this.frames.end(error);
    }
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.abort();
    this.frames.end();
  }

  async #create(watch: WatchCreate): Promise<void> {
    const refused = this.#refusal(watch);
    if (refused !== undefined) {
      await this.frames.push(cancelledFrame(watch.watchId, refused));
      return;
    }
    const control = new AbortController();
    this.#watchers.set(watch.watchId, control);
    void this.#run(watch, control.signal);
  }

  #refusal({ watchId }: WatchCreate): ConnectError | undefined {
    if (this.#watchers.has(watchId)) {
      const problem = `${watchId} is in use on this stream until its cancelled frame has come`;
      return failure(ErrorReason.FIELD_INVALID, `create.watch_id: ${problem}`, {
        fields: [{ path: "create.watch_id", problem }],
      });
    }
    const { maxWatchers } = this.#deps.settings;
    if (this.#watchers.size < maxWatchers) return undefined;
    return failure(ErrorReason.LIMIT_EXCEEDED, `at most ${maxWatchers} watchers fit on a stream: open another one`, {
      metadata: { limit: String(maxWatchers) },
    });
  }

  /** Never rejects. */
  async #run(watch: WatchCreate, signal: AbortSignal): Promise<void> {
    let end: WatchFrame = cancelledFrame(watch.watchId, undefined);
    try {
      for await (const frame of this.#watch(watch, signal)) {
        if (signal.aborted || !(await this.frames.push(frame))) break;
      }
    } catch (error) {
      // What was cancelled on purpose has not failed.
      if (!signal.aborted) end = cancelledFrame(watch.watchId, this.#explain(error));
    }
    await this.frames.push(end);
    // Until its end is on its way a watcher counts, so that ends which wait are bounded as well.
    this.#watchers.delete(watch.watchId);
    this.#endWhenOver();
  }

  #watch(watch: WatchCreate, signal: AbortSignal): AsyncGenerator<WatchFrame> {
    const scope = scopeOf(this.#context);
    if (watch.target.case === "index" && watch.target.value) {
      requireUnbound(this.#context);
      return watchIndex(this.#deps, scope, watch, signal);
    }
    const sessionId = watch.target.case === "sessionId" ? watch.target.value : "";
    if (sessionId === "") {
      const problem = "name a session, or ask for the index";
      throw failure(ErrorReason.FIELD_INVALID, `create.session_id: ${problem}`, {
        fields: [{ path: "create.session_id", problem }],
      });
    }
    requireOpened(sessionId, this.#context);
    return watchLog(this.#deps, scope, sessionId, watch, signal);
  }

  #explain(error: unknown): ConnectError {
    if (error instanceof ConnectError) return error;
    const traceId = traceIdOf(this.#context);
    this.#deps.log.error({ traceId, error: String(error) }, "a watcher failed");
    if (error instanceof StoreUnavailable || error instanceof LogDamaged) return storeFailure(error);
    return failure(ErrorReason.INTERNAL, `a fault of ours; the log has it under trace ${traceId}`, {
      metadata: { trace_id: traceId },
    });
  }

  #endWhenOver(): void {
    if (this.#isHalfClosed && this.#watchers.size === 0) this.frames.end();
  }
}

/** `error` is undefined when the client asked for the end. */
function cancelledFrame(watchId: bigint, error: ConnectError | undefined): WatchFrame {
  const { reason, metadata } = error === undefined ? { reason: undefined, metadata: {} } : failureFacts(error);
  return {
    case: "cancelled",
    value: {
      $typeName: "atoll.session.v1.WatchCancelled",
      watchId,
      code: error?.code ?? 0,
      reason: reason ?? ErrorReason.UNSPECIFIED,
      message: error?.rawMessage ?? "",
      metadata: { ...metadata },
    },
  };
}
