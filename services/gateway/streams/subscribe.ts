/** Subscribe: the same events as Chat, for browsers and command lines. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type SubscribeRequest,
  type SubscribeResponse,
  SubscribeResponseSchema,
} from "../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { createEventFilter } from "../../kernel/event/filter-events.ts";
import { noteWritten } from "../../kernel/rpc/readers/reader-place.ts";
import type { GatewayDeps } from "../gateway-deps.ts";
import { encodingOf, setEvents } from "./encoded-events.ts";
import { followSession } from "./follow-session.ts";
import type { SessionHub } from "./session-hub.ts";

export async function* subscribe(
  deps: GatewayDeps,
  hub: SessionHub,
  request: SubscribeRequest,
  context: HandlerContext,
): AsyncGenerator<SubscribeResponse> {
  const encoding = encodingOf(context);
  const filter = createEventFilter(request.filter);
  const follow = followSession(
    deps,
    hub,
    {
      sessionId: request.sessionId,
      cursor: { logId: request.logId, afterSeq: request.afterSeq },
      signal: context.signal,
      untilRunId: request.untilRunId,
    },
    context,
  );
  for await (const { events, logId, headSeq } of follow) {
    const response = create(SubscribeResponseSchema, { logId, headSeq: BigInt(headSeq) });
    setEvents(response, filter(events), encoding);
    yield response;
    const last = events.at(-1);
    if (last !== undefined) noteWritten(context, request.sessionId, last.seq);
  }
}
