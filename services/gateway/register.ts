/** Starts the gateway: its own contract, and those of its peers on the same port. */
import type { ConnectRouter } from "@connectrpc/connect";
import { AdminService } from "../../gen/atoll/admin/v1/admin_service_pb.ts";
import { AgentService } from "../../gen/atoll/agent/v1/agent_service_pb.ts";
import { GatewayService } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SessionService } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { ToolRouterService } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { registerService } from "../kernel/rpc/register-service.ts";
import { type AdminDeps, createAdminService } from "./admin/admin-service.ts";
import type { GatewayDeps } from "./gateway-deps.ts";
import { createGatewayService } from "./gateway-service.ts";
import { proxyService } from "./proxy-service.ts";
import { SessionHub } from "./streams/session-hub.ts";

export interface GatewayPart {
  readonly routes: (router: ConnectRouter) => void;
  readonly close: () => Promise<void>;
}

export function startGateway(deps: GatewayDeps, admin: AdminDeps): GatewayPart {
  const hub = new SessionHub(deps);
  const gateway = createGatewayService(deps, hub);
  const adminService = createAdminService(admin);
  const { transports } = deps;
  return {
    routes(router) {
      registerService(router, GatewayService, gateway);
      registerService(router, AdminService, adminService);
      registerService(router, SessionService, proxyService(SessionService, transports.session));
      registerService(router, AgentService, proxyService(AgentService, transports.agent));
      registerService(router, ToolRouterService, proxyService(ToolRouterService, transports.toolRouter));
    },
    close: () => hub.close(),
  };
}
