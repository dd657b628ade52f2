/** How the mesh is: what this process knows of itself, and what its peers answer. */
import { create } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import {
  type GetStatusResponse,
  GetStatusResponseSchema,
  Health as HealthState,
} from "../../../gen/atoll/admin/v1/admin_service_pb.ts";
import { AgentService } from "../../../gen/atoll/agent/v1/agent_service_pb.ts";
import { Scope as AuthScope } from "../../../gen/atoll/auth/v1/options_pb.ts";
import { ServerState } from "../../../gen/atoll/tool/v1/tool_pb.ts";
import { ToolRouterService } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { localTenant } from "../../kernel/auth/principal.ts";
import { callValues } from "../../kernel/rpc/call-context.ts";
import { RawSessionService } from "../../kernel/rpc/hops/raw-session-service.ts";

export async function readStatus(parts: {
  readonly transports: { readonly session: Transport; readonly agent: Transport; readonly toolRouter: Transport };
  readonly facts: Partial<Omit<GetStatusResponse, "$typeName" | "components">>;
}): Promise<GetStatusResponse> {
  const status = create(GetStatusResponseSchema, parts.facts);
  const principal = {
    tenant: localTenant,
    name: "service:gateway",
    scopes: new Set([AuthScope.SESSIONS_READ, AuthScope.AGENTS_READ, AuthScope.TOOLS_READ]),
    origin: undefined,
    run: undefined,
  };
  const call = { contextValues: callValues(principal, ""), timeoutMs: 5_000 };
  try {
    const { total, active } = await createClient(RawSessionService, parts.transports.session).countSessions({}, call);
    Object.assign(status, { sessions: total, activeSessions: active });
    addComponent(status, "session", HealthState.OK, "");
  } catch (error) {
    addComponent(status, "session", HealthState.DOWN, String(error));
  }
  try {
    const { cachedSessions, cachedSessionsCapacity } = await createClient(
      AgentService,
      parts.transports.agent,
    ).getStatistics({}, call);
    Object.assign(status, { cachedSessions, cachedSessionsCapacity });
    addComponent(status, "agent", HealthState.OK, "");
  } catch (error) {
    addComponent(status, "agent", HealthState.DOWN, String(error));
  }
  try {
    const { servers } = await createClient(ToolRouterService, parts.transports.toolRouter).listServers({}, call);
    addComponent(status, "toolrouter", HealthState.OK, "");
    for (const { name, state, problem } of servers) {
      // One that a person switched off has no problem; one that the configuration can't use has.
      const isOff = state === ServerState.STOPPED && problem === "";
      const isFine = state === ServerState.READY || isOff || state === ServerState.STARTING;
      addComponent(status, `mcp/${name}`, isFine ? HealthState.OK : HealthState.DEGRADED, problem);
    }
  } catch (error) {
    addComponent(status, "toolrouter", HealthState.DOWN, String(error));
  }
  return status;
}

function addComponent(status: GetStatusResponse, name: string, health: HealthState, problem: string): void {
  status.components.push({ $typeName: "atoll.admin.v1.ComponentStatus", name, health, problem });
}
