/** Starts the gateway: the contract of people and programs, and those of its peers, on the port of this process. */
import { createClient } from "@connectrpc/connect";
import { AdminService, type InstanceStatus } from "../../gen/atoll/admin/v1/admin_service_pb.ts";
import { AgentService } from "../../gen/atoll/agent/v1/agent_service_pb.ts";
import { GatewayService } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SessionService } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { ToolRouterService } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { LinkDesk } from "../gateway/admin/link-desk.ts";
import { readStatus } from "../gateway/admin/read-status.ts";
import { startGateway } from "../gateway/register.ts";
import { createMeshProver } from "../kernel/auth/mesh-proof.ts";
import { redactConfig } from "../kernel/config/redact-config.ts";
import { RawSessionService } from "../kernel/rpc/hops/raw-session-service.ts";
import type { Signing } from "./open-keys.ts";
import type { Wiring } from "./wiring.ts";

/** What this process knows of itself when it is asked. */
interface OwnFacts {
  /** Where a client on this machine reaches it. */
  readonly url: () => string;
  readonly describe: () => Promise<InstanceStatus>;
}

/** The desk makes the one-time links to the page. */
export async function serveGateway(wiring: Wiring, { signer, localToken }: Signing, own: OwnFacts): Promise<LinkDesk> {
  const { config, clock, lifecycle, served } = wiring;
  const transports = {
    session: served.peer("session"),
    agent: served.peer("agent"),
    toolRouter: served.peer("toolrouter"),
  };
  const links = new LinkDesk(signer, clock, () => config.access.publicUrl ?? own.url());
  const gateway = startGateway(
    {
      session: createClient(RawSessionService, transports.session),
      transports,
      clock,
      log: wiring.log.child({ service: "gateway" }),
      tokens: signer,
      progressIntervalMs: config.limits.progressIntervalMs,
    },
    {
      links,
      config: () => redactConfig(config),
      prove: createMeshProver(localToken),
      status: () => readStatus({ transports, own: own.describe, others: served.otherProcesses() }),
    },
  );
  await lifecycle.register({ name: "gateway", close: () => gateway.close() });
  served.addToPort([GatewayService, SessionService, AgentService, ToolRouterService, AdminService], gateway.routes);
  return links;
}
