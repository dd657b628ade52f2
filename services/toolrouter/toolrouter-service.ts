/** The RPCs of ToolRouterService, a few lines each; what they do stands in the files that they call. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  ExplainPolicyResponseSchema,
  GetServerResponseSchema,
  InvokeToolResponseSchema,
  ListServersResponseSchema,
  ReattachCallResponseSchema,
  RestartServerResponseSchema,
  type ToolRouterService,
} from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import type { Clock } from "../kernel/clock.ts";
import { ErrorReason, failure } from "../kernel/errors.ts";
import type { Log } from "../kernel/log.ts";
import type { Scope } from "../kernel/store/scope.ts";
import { serveCallStream } from "./call-stream.ts";
import type { CallGate } from "./call-tool.ts";
import { describeServer } from "./describe-server.ts";
import { findTool } from "./find-tool.ts";
import { listTools } from "./list-tools.ts";
import { cutPage } from "./page.ts";
import { ServerRestarts } from "./restart-server.ts";
import type { ServerSupervisor } from "./server-supervisor.ts";
import { streamCall } from "./stream-call.ts";
import { decidePolicy, patternsOf } from "./tool-policy.ts";
import type { ToolServers } from "./tool-servers.ts";
import { watchTools } from "./watch-tools.ts";

const defaultServersPageSize = 50;

export interface ToolRouterServiceDeps {
  readonly gate: CallGate;
  readonly servers: ToolServers;
  /** The tool patterns of each agent (tool-policy.ts). */
  readonly agentTools: ReadonlyMap<string, readonly string[]>;
  readonly log: Log;
  readonly clock: Clock;
  /** On whose behalf a call is made. */
  readonly scopeOf: (context: HandlerContext) => Scope;
}

/** CreateServer, UpdateServer, DeleteServer and ApproveTool are not served: servers come from the configuration. */
export function createToolRouterService(deps: ToolRouterServiceDeps): Partial<ServiceImpl<typeof ToolRouterService>> {
  const { gate, servers, agentTools, scopeOf, log, clock } = deps;
  const restarts = new ServerRestarts();
  return {
    callTool: (requests, context) => serveCallStream(gate, scopeOf(context), requests, context.signal, log),

    async invokeTool({ call }, context) {
      if (call === undefined) throw missing("call");
      const admitted = await gate.admit(scopeOf(context), call, context.signal);
      const result = admitted.kind === "finished" ? admitted.result : await admitted.call.result();
      return create(InvokeToolResponseSchema, { result });
    },

    async *reattachCall({ callId, context: caller }, context) {
      const admitted = await gate.reattach(scopeOf(context), callId, caller);
      if (admitted.kind === "finished") {
        yield create(ReattachCallResponseSchema, { frame: { case: "result", value: admitted.result } });
        return;
      }
      for await (const frame of streamCall(admitted.call, context.signal)) {
        yield create(ReattachCallResponseSchema, { frame });
      }
    },

    listTools: (request, context) => listTools(deps, request, context.signal),

    watchTools: (_request, context) => watchTools(servers, clock, context.signal),

    async explainPolicy({ tool, context: caller }, context) {
      await findTool(servers, tool, clock, context.signal);
      return create(ExplainPolicyResponseSchema, decidePolicy(tool, patternsOf(agentTools, caller?.agentId ?? "")));
    },

    listServers({ pageSize, pageToken }) {
      const size = pageSize === 0 ? defaultServersPageSize : pageSize;
      const page = cutPage(servers.all, (server) => server.name, size, pageToken);
      const described = page.items.map(describeServer);
      return create(ListServersResponseSchema, { servers: described, nextPageToken: page.nextPageToken });
    },

    getServer: ({ name }) => create(GetServerResponseSchema, { server: describeServer(findServer(servers, name)) }),

    async restartServer({ requestId, name }, context) {
      const supervisor = findServer(servers, name);
      await restarts.restart(scopeOf(context), requestId, supervisor);
      return create(RestartServerResponseSchema, { server: describeServer(supervisor) });
    },
  };
}

function findServer(servers: ToolServers, name: string): ServerSupervisor {
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
