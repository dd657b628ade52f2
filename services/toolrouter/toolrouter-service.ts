/** The RPCs of ToolRouterService, a few lines each; what they do stands in the files that they call. */

import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { McpServerSchema } from "../../gen/atoll/config/v1/mcp_server_pb.ts";
import {
  ExplainPolicyResponseSchema,
  GetServerResponseSchema,
  InvokeToolResponseSchema,
  ListServersResponseSchema,
  PolicyVerdict,
  ReattachCallResponseSchema,
  RestartServerResponseSchema,
  type ToolCall,
  ToolRouterService,
  WatchToolsResponseSchema,
} from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import type { Clock } from "../kernel/clock.ts";
import { revisionOf } from "../kernel/config/config-revision.ts";
import { ErrorReason, failure } from "../kernel/errors.ts";
import type { Log } from "../kernel/log.ts";
import { endWithRun, guardRuns, type RequireRun } from "../kernel/rpc/gate/run-guard.ts";
import { bindAgent, bindContext, type Caller } from "./caller.ts";
import { type OwnedCall, serveCallStream } from "./calls/call-stream.ts";
import type { CallGate } from "./calls/call-tool.ts";
import { streamCall } from "./calls/stream-call.ts";
import { findTool } from "./catalog/find-tool.ts";
import { listTools } from "./catalog/list-tools.ts";
import { cutPage } from "./catalog/page.ts";
import { watchTools } from "./catalog/watch-tools.ts";
import { decidePolicy, patternsOf } from "./policy/tool-policy.ts";
import { describeServer } from "./servers/describe-server.ts";
import { ServerRestarts } from "./servers/restart-server.ts";
import type { ServerSupervisor } from "./servers/server-supervisor.ts";
import type { ToolServers } from "./servers/tool-servers.ts";

const defaultServersPageSize = 50;

export interface ToolRouterServiceDeps {
  readonly gate: CallGate;
  readonly servers: ToolServers;
  /** The tool patterns of each agent (tool-policy.ts). */
  readonly agentTools: ReadonlyMap<string, readonly string[]>;
  readonly log: Log;
  readonly clock: Clock;
  readonly callerOf: (context: HandlerContext) => Caller;
  readonly requireRun: RequireRun;
}

/** CreateServer, UpdateServer, DeleteServer and ApproveTool are not served: servers come from the configuration. */
export function createToolRouterService(deps: ToolRouterServiceDeps): Partial<ServiceImpl<typeof ToolRouterService>> {
  const { gate, servers, agentTools, callerOf, requireRun, log, clock } = deps;
  const restarts = new ServerRestarts();
  const bind = (caller: Caller, call: ToolCall): OwnedCall => {
    const context = bindContext(caller, call.context, agentTools, "call.context");
    return { owner: { ...caller.scope, runId: context.runId }, call: { ...call, context } };
  };
  /** The servers of which a caller may use a tool; one without a run sees all. */
  const shownServers = ({ run }: Caller): readonly ServerSupervisor[] => {
    if (run === undefined) return servers.all;
    const patterns = agentTools.get(bindAgent({ run }, "", agentTools));
    const isUsed = ({ tool }: { readonly tool: { readonly name: string } }): boolean =>
      decidePolicy(tool.name, patterns).verdict === PolicyVerdict.ALLOW;
    const names = new Set(
      servers
        .tools()
        .filter(isUsed)
        .map(({ tool }) => tool.server),
    );
    return servers.all.filter(({ name }) => names.has(name));
  };
  const handlers: Partial<ServiceImpl<typeof ToolRouterService>> = {
    callTool: (requests, context) =>
      serveCallStream(gate, (call) => bind(callerOf(context), call), requests, context.signal, log),

    async invokeTool({ call }, context) {
      if (call === undefined) throw missing("call");
      const bound = bind(callerOf(context), call);
      const admitted = await gate.admit(bound.owner, bound.call, context.signal);
      const result = admitted.kind === "finished" ? admitted.result : await admitted.call.result();
      return create(InvokeToolResponseSchema, { result });
    },

    async *reattachCall({ callId, context: given }, context) {
      const caller = callerOf(context);
      const bound = bindContext(caller, given, agentTools, "context");
      const admitted = await gate.reattach({ ...caller.scope, runId: bound.runId }, callId, bound);
      if (admitted.kind === "finished") {
        yield create(ReattachCallResponseSchema, { frame: { case: "result", value: admitted.result } });
        return;
      }
      for await (const frame of streamCall(admitted.call, context.signal)) {
        yield create(ReattachCallResponseSchema, { frame });
      }
    },

    listTools: (request, context) => {
      const agentId = bindAgent(callerOf(context), request.agentId, agentTools);
      return listTools(deps, { ...request, agentId }, context.signal);
    },

    watchTools: (_request, context) => {
      const caller = callerOf(context);
      const patterns = patternsOf(agentTools, bindAgent(caller, "", agentTools));
      const isShown = (tool: string): boolean =>
        caller.run === undefined || decidePolicy(tool, patterns).verdict === PolicyVerdict.ALLOW;
      return endWithRun(context, clock, requireRun, async function* ({ signal }) {
        for await (const { servers: changed, tools, removedTools } of watchTools(servers, clock, signal)) {
          const shown = new Set(shownServers(caller).map(({ name }) => name));
          yield create(WatchToolsResponseSchema, {
            servers: changed.filter(({ name }) => shown.has(name)),
            tools: tools.filter(({ name }) => isShown(name)),
            removedTools: removedTools.filter(isShown),
          });
        }
      });
    },

    async explainPolicy({ tool, context: given }, context) {
      const { agentId } = bindContext(callerOf(context), given, agentTools, "context");
      await findTool(servers, tool, clock, context.signal);
      return create(ExplainPolicyResponseSchema, decidePolicy(tool, patternsOf(agentTools, agentId)));
    },

    listServers({ pageSize, pageToken }, context) {
      const size = pageSize === 0 ? defaultServersPageSize : pageSize;
      const page = cutPage(shownServers(callerOf(context)), (server) => server.name, size, pageToken);
      const described = page.items.map(describeServer);
      return create(ListServersResponseSchema, { servers: described, nextPageToken: page.nextPageToken });
    },

    getServer: ({ name }, context) => {
      const server = findServer(
        { find: (wanted) => shownServers(callerOf(context)).find((each) => each.name === wanted) },
        name,
      );
      const { shown } = server.settings;
      const config = shown === undefined ? {} : { config: shown, revision: revisionOf(McpServerSchema, shown) };
      return create(GetServerResponseSchema, { server: describeServer(server), ...config });
    },

    async restartServer({ requestId, name }, context) {
      const supervisor = findServer(servers, name);
      await restarts.restart(callerOf(context).scope, requestId, supervisor);
      return create(RestartServerResponseSchema, { server: describeServer(supervisor) });
    },
  };
  return guardRuns(ToolRouterService, handlers, requireRun);
}

function findServer(servers: Pick<ToolServers, "find">, name: string): ServerSupervisor {
  const found = servers.find(name);
  if (found !== undefined) return found;
  throw failure(
    ErrorReason.SERVER_NOT_FOUND,
    `there is no MCP server "${name}"; ListServers names those that there are`,
    {
      metadata: { server: name },
    },
  );
}

function missing(path: string): Error {
  return failure(ErrorReason.FIELD_INVALID, `${path}: is required`, { fields: [{ path, problem: "is required" }] });
}
