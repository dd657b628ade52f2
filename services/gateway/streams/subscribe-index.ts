/**
 * SubscribeIndex: the index feed of the caller's tenant, for lists that stay live in a browser.
 *
 * Each reader has a watcher of its own at the session service, as the caller: who may see what is decided there.
 */
import { create } from "@bufbuild/protobuf";
import { ConnectError, type HandlerContext } from "@connectrpc/connect";
import {
  type SubscribeIndexRequest,
  type SubscribeIndexResponse,
  SubscribeIndexResponseSchema,
} from "../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import type { RawWatchResponse } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import type { WatchCancelled } from "../../../gen/atoll/session/v1/watch_pb.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { onward } from "../../kernel/rpc/call-context.ts";
import type { GatewayDeps } from "../gateway-deps.ts";

const watchId = 1n;

/** Ends with the caller. Errors: as the watcher's end says; PEER_UNAVAILABLE when the session service is away. */
export async function* subscribeIndex(
  { session }: Pick<GatewayDeps, "session">,
  { cursor }: SubscribeIndexRequest,
  context: HandlerContext,
): AsyncGenerator<SubscribeIndexResponse> {
  const over = Promise.withResolvers<void>();
  context.signal.addEventListener("abort", () => over.resolve(), { once: true });
  async function* ask() {
    const target = { case: "index" as const, value: true };
    yield {
      frame: { case: "create" as const, value: { watchId, target, ...(cursor === undefined ? {} : { cursor }) } },
    };
    // The stream stays open for as long as there is a reader.
    await over.promise;
  }
  let place = { logId: "", headSeq: 0n };
  try {
    for await (const { frame } of session.watch(ask(), onward(context))) {
      const heard = hear(frame, place);
      if (heard === undefined) continue;
      place = heard.place;
      yield create(SubscribeIndexResponseSchema, { ...heard.place, entries: heard.entries });
    }
  } finally {
    over.resolve();
  }
}

interface Place {
  readonly logId: string;
  readonly headSeq: bigint;
}

/** Undefined for a frame that tells a reader nothing. */
function hear(frame: RawWatchResponse["frame"], place: Place) {
  switch (frame.case) {
    case "created":
      return { place: { logId: frame.value.logId, headSeq: frame.value.headSeq }, entries: [] };
    case "index":
      return { place: { logId: frame.value.logId, headSeq: frame.value.headSeq }, entries: frame.value.entries };
    case "progress":
      return { place: { ...place, headSeq: frame.value.headSeq }, entries: [] };
    case "cancelled":
      throw endOf(frame.value);
    default:
      return undefined;
  }
}

function endOf({ code, reason, message, metadata }: WatchCancelled): ConnectError {
  return reason === ErrorReason.UNSPECIFIED ? new ConnectError(message, code) : failure(reason, message, { metadata });
}
