/** GatewayService over its peers. Each verb that does something has its own file; the rest is handed on. */

import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  CancelRunResponseSchema,
  type GatewayService,
  WaitRunResponseSchema,
} from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { onward } from "../kernel/rpc/call-context.ts";
import { endWithRun, type RequireRun } from "../kernel/rpc/gate/run-guard.ts";
import type { GatewayDeps } from "./gateway-deps.ts";
import { sendMessage } from "./send-message.ts";
import { chat } from "./streams/chat.ts";
import type { SessionHub } from "./streams/session-hub.ts";
import { subscribe } from "./streams/subscribe.ts";
import { subscribeIndex } from "./streams/subscribe-index.ts";
import { subscribeSessions } from "./streams/subscribe-sessions.ts";

export function createGatewayService(deps: GatewayDeps, hub: SessionHub): Partial<ServiceImpl<typeof GatewayService>> {
  const { session } = deps;
  // What goes on live comes from a watcher that all readers share: that one does not end with a run.
  const requireRun: RequireRun = async ({ runId }, context) => void (await session.getRun({ runId }, onward(context)));
  return {
    chat: (requests, context) => chat(deps, hub, requests, context),
    subscribe: (request, context) =>
      endWithRun(context, deps.clock, requireRun, (ending) => subscribe(deps, hub, request, ending)),
    subscribeSessions: (request, context) =>
      endWithRun(context, deps.clock, requireRun, (ending) => subscribeSessions(deps, hub, request, ending)),
    subscribeIndex: (request, context) => subscribeIndex(deps, request, context),
    sendMessage: (request, context) => sendMessage(deps, request, onward(context)),
    async cancelRun({ requestId, runId, reason }, context) {
      const { run } = await session.cancelRun({ requestId, runId, reason }, onward(context));
      return create(CancelRunResponseSchema, run === undefined ? {} : { run });
    },
    async waitRun({ runId, timeoutMs }, context) {
      const { run } = await session.waitRun({ runId, timeoutMs }, onward(context));
      return create(WaitRunResponseSchema, run === undefined ? {} : { run });
    },
  };
}
