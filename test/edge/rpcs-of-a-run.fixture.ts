/** The RPCs that the token of a run opens, with a request for each, and how a test calls any of them. */
import type { DescMethod } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { AdminService } from "../../gen/atoll/admin/v1/admin_service_pb.ts";
import { AgentService } from "../../gen/atoll/agent/v1/agent_service_pb.ts";
import { Scope } from "../../gen/atoll/auth/v1/options_pb.ts";
import { GatewayService } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SessionService } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { ToolRouterService } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import type { RunGrant } from "../../services/kernel/auth/principal.ts";
import { ruleOf } from "../../services/kernel/rpc/gate/method-rule.ts";

export const scopes = new Set([Scope.SESSIONS_READ, Scope.TOOLS_READ, Scope.TOOLS_CALL]);

type Ask = (of: { readonly grant: RunGrant; readonly callId: string }) => object;

/** A request for each RPC that the scopes of a run's token let in, with ids in it. */
export const requests: Readonly<Record<string, Ask>> = {
  "GatewayService/Subscribe": ({ grant }) => ({ sessionId: grant.sessionId }),
  "GatewayService/SubscribeSessions": ({ grant }) => ({ subscriptions: [{ sessionId: grant.sessionId }] }),
  "GatewayService/WaitRun": ({ grant }) => ({ runId: grant.runId, timeoutMs: 1 }),
  "SessionService/GetSession": ({ grant }) => ({ by: { case: "sessionId", value: grant.sessionId } }),
  "SessionService/ListSessions": () => ({}),
  "SessionService/CountSessions": () => ({}),
  "SessionService/ListRuns": ({ grant }) => ({ sessionId: grant.sessionId }),
  "SessionService/GetRun": ({ grant }) => ({ runId: grant.runId }),
  "SessionService/WaitRun": ({ grant }) => ({ runId: grant.runId, timeoutMs: 1 }),
  "SessionService/ListEvents": ({ grant }) => ({ sessionId: grant.sessionId }),
  "SessionService/GetSnapshot": ({ grant }) => ({ sessionId: grant.sessionId }),
  "SessionService/Watch": ({ grant }) => ({
    frame: { case: "create", value: { watchId: 1n, target: { case: "sessionId", value: grant.sessionId } } },
  }),
  "ToolRouterService/CallTool": ({ grant }) => ({ frame: { case: "call", value: echo(grant) } }),
  "ToolRouterService/InvokeTool": ({ grant }) => ({ call: echo(grant) }),
  "ToolRouterService/ReattachCall": ({ grant, callId }) => ({ callId, context: contextOf(grant) }),
  "ToolRouterService/ListTools": ({ grant }) => ({ agentId: grant.agentId }),
  "ToolRouterService/WatchTools": () => ({}),
  "ToolRouterService/ExplainPolicy": ({ grant }) => ({ tool: "probe.echo", context: contextOf(grant) }),
  "ToolRouterService/ListServers": () => ({}),
  "ToolRouterService/GetServer": () => ({ name: "probe" }),
};
/** What names nobody and is answered with what is the run's own. */
export const withoutIds = new Set(["ListSessions", "CountSessions", "WatchTools", "ListServers", "GetServer"]);

const contextOf = ({ sessionId, runId, agentId, epoch }: RunGrant) => ({
  ...{ sessionId, runId, agentId },
  epoch: BigInt(epoch),
});
const echo = (grant: RunGrant) => ({
  ...{ callId: `try-${crypto.randomUUID()}`, tool: "probe.echo", argumentsJson: '{"text":"x"}' },
  context: contextOf(grant),
});

export const everyRpc = [GatewayService, SessionService, AgentService, ToolRouterService, AdminService].flatMap(
  (service) => service.methods,
);
export const nameOf = (method: DescMethod): string => `${method.parent.name}/${method.name}`;
/** The index tells of all sessions: what holds a run's token is refused it, whatever its scopes. */
export const isOpen = (method: DescMethod): boolean =>
  scopes.has(ruleOf(method).scope as never) && nameOf(method) !== "GatewayService/SubscribeIndex";

/** Calls an RPC and takes what comes first. */
export async function callFirst(way: Transport, method: DescMethod, request: object): Promise<unknown> {
  const rpcs = createClient(method.parent, way) as unknown as Record<
    string,
    (input: unknown, options: object) => unknown
  >;
  const control = new AbortController();
  const isBidi = method.methodKind === "bidi_streaming";
  const held = Promise.withResolvers<void>();
  async function* frames() {
    yield request;
    await held.promise;
  }
  try {
    const answer = rpcs[method.localName]?.(isBidi ? frames() : request, { signal: control.signal, timeoutMs: 3_000 });
    if (method.methodKind === "unary") return await answer;
    for await (const frame of answer as AsyncIterable<unknown>) return frame;
    return undefined;
  } finally {
    held.resolve();
    control.abort();
  }
}
