/**
 * SubscribeSessions: several sessions on one server stream, for browsers.
 *
 * Keeps S1 and S2 for each subscription, as Subscribe does, and F1: one that is refused or breaks ends alone. Keeps L7: the
 * subscriptions of a stream are bounded by the contract, and so are the responses that wait for a client that does not read.
 */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type SubscribeRequest,
  type SubscribeSessionsRequest,
  type SubscribeSessionsResponse,
  SubscribeSessionsResponseSchema,
} from "../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { ErrorReason, failedWith } from "../../kernel/errors.ts";
import { createEventFilter } from "../../kernel/event/filter-events.ts";
import { principalOf, traceIdOf } from "../../kernel/rpc/call-context.ts";
import { noteWritten } from "../../kernel/rpc/readers/reader-place.ts";
import { FrameQueue } from "../../kernel/stream/frame-queue.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import { chatErrorOf } from "./chat-error.ts";
import { type EventEncoding, encodingOf, setEvents } from "./encoded-events.ts";
import { followSession } from "./follow-session.ts";
import type { SessionHub } from "./session-hub.ts";

/** With parts of 64 KiB (follow-session.ts) about 1 MiB that waits for a client that does not read. */
const maxWaitingResponses = 16;

interface Waiting {
  readonly response: SubscribeSessionsResponse;
  readonly sessionId: string;
  /** 0 when there is no event. */
  readonly lastSeq: number;
}

export async function* subscribeSessions(
  deps: GatewayDeps,
  hub: SessionHub,
  { subscriptions }: SubscribeSessionsRequest,
  context: HandlerContext,
): AsyncGenerator<SubscribeSessionsResponse> {
  const control = new AbortController();
  const stop = (): void => {
    control.abort();
    waiting.end();
  };
  const waiting = new FrameQueue<Waiting>(maxWaitingResponses);
  const encoding = encodingOf(context);
  const flows = subscriptions.map((request, place) =>
    flow({ deps, hub, context, encoding, waiting, signal: control.signal }, request, place),
  );
  void Promise.all(flows).then(() => waiting.end());
  context.signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const { response, sessionId, lastSeq } of waiting) {
      yield response;
      if (lastSeq > 0) noteWritten(context, sessionId, lastSeq);
    }
  } finally {
    context.signal.removeEventListener("abort", stop);
    stop();
  }
}

interface Flow {
  readonly deps: GatewayDeps;
  readonly hub: SessionHub;
  readonly context: HandlerContext;
  readonly encoding: EventEncoding;
  readonly waiting: FrameQueue<Waiting>;
  readonly signal: AbortSignal;
}

/** Never rejects: its end, good or bad, is a response. */
async function flow(parts: Flow, request: SubscribeRequest, subscription: number): Promise<void> {
  const { deps, hub, context, encoding, waiting, signal } = parts;
  const { sessionId, logId, afterSeq, untilRunId } = request;
  const end = create(SubscribeSessionsResponseSchema, { subscription, ended: true });
  try {
    const filter = createEventFilter(request.filter, `subscriptions[${subscription}].filter`);
    const follow = followSession(deps, hub, { sessionId, cursor: { logId, afterSeq }, signal, untilRunId }, context);
    for await (const slice of follow) {
      const response = create(SubscribeSessionsResponseSchema, {
        subscription,
        logId: slice.logId,
        headSeq: BigInt(slice.headSeq),
      });
      setEvents(response, filter(slice.events), encoding);
      const lastSeq = slice.events.at(-1)?.seq ?? 0;
      if (!(await waiting.push({ response, sessionId, lastSeq }))) return;
    }
  } catch (error) {
    if (signal.aborted) return;
    if (isEndOfToken(error, context)) {
      waiting.end(error);
      return;
    }
    end.error = chatErrorOf(error, sessionId, { log: deps.log, traceId: traceIdOf(context) });
  }
  await waiting.push({ response: end, sessionId, lastSeq: 0 });
}

const tokenEndings = [ErrorReason.RUN_FINISHED, ErrorReason.EPOCH_FENCED, ErrorReason.RUN_NOT_FOUND];

/** Whether it is the caller's own token that has ended with its run: then nothing of the stream goes on. */
function isEndOfToken(error: unknown, context: HandlerContext): boolean {
  return principalOf(context).run !== undefined && tokenEndings.some((reason) => failedWith(error, reason));
}
