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
import {
  type Cursor,
  CursorSchema,
  type IndexEntry,
  type WatchCancelled,
} from "../../../gen/atoll/session/v1/watch_pb.ts";
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
  const reached: Cursor = create(CursorSchema, { afterSeq: cursor?.afterSeq ?? 0n });
  let headSeq = 0n;
  try {
    for await (const { frame } of session.watch(ask(), onward(context))) {
      let entries: readonly IndexEntry[] = [];
      switch (frame.case) {
        case "created":
          ({ headSeq } = frame.value);
          reached.logId = frame.value.logId;
          break;
        case "index":
          ({ headSeq, entries } = frame.value);
          reached.afterSeq = entries.at(-1)?.seq ?? reached.afterSeq;
          break;
        case "progress":
          ({ headSeq } = frame.value);
          reached.afterSeq = headSeq;
          break;
        case "cancelled":
          throw endOf(frame.value);
        default:
          continue;
      }
      yield create(SubscribeIndexResponseSchema, { entries: [...entries], cursor: { ...reached }, headSeq });
    }
  } finally {
    over.resolve();
  }
}

function endOf({ code, reason, message, metadata }: WatchCancelled): ConnectError {
  return reason === ErrorReason.UNSPECIFIED ? new ConnectError(message, code) : failure(reason, message, { metadata });
}
