/** A gateway behind the mesh's door in front of a real session service, for tests. */

import { create } from "@bufbuild/protobuf";
import { type Client, createClient, createRouterTransport, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { onTestFinished } from "vitest";
import { AdminService, GetStatusResponseSchema } from "../../gen/atoll/admin/v1/admin_service_pb.ts";
import { MeshConfigSchema } from "../../gen/atoll/config/v1/mesh_config_pb.ts";
import { GatewayService } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SessionService } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { checkReasons } from "../../test/support/check-reasons.ts";
import { localToken, type RunningSession } from "../../test/support/session-service.ts";
import { createAuthenticate } from "../kernel/auth/authenticate.ts";
import { createMeshProver } from "../kernel/auth/mesh-proof.ts";
import { systemClock } from "../kernel/clock.ts";
import { createLog } from "../kernel/log.ts";
import { openEdge } from "../kernel/rpc/edge/edge.ts";
import { createServerOptions } from "../kernel/rpc/gate/server-options.ts";
import { RawSessionService } from "../kernel/rpc/hops/raw-session-service.ts";
import { defaultListenerLimits } from "../kernel/rpc/listener/listener-limits.ts";
import { LinkDesk } from "./admin/link-desk.ts";
import type { GatewayDeps } from "./gateway-deps.ts";
import { startGateway } from "./register.ts";

export interface RunningGateway {
  readonly url: string;
  readonly client: Client<typeof GatewayService>;
  readonly session: Client<typeof SessionService>;
  readonly admin: Client<typeof AdminService>;
  /** To the gateway, with a token of the caller's choice. */
  readonly connect: (options: {
    readonly token?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly json?: boolean;
  }) => Transport;
}

export async function startTestGateway(
  session: Pick<RunningSession, "remote" | "tokens">,
  { progressIntervalMs = 15_000 } = {},
): Promise<RunningGateway> {
  const log = createLog({ level: "silent", format: "json" });
  const nobody = createRouterTransport(() => undefined);
  const deps: GatewayDeps = {
    session: createClient(RawSessionService, session.remote),
    transports: { session: session.remote, agent: nobody, toolRouter: nobody },
    clock: systemClock,
    log,
    tokens: session.tokens,
    progressIntervalMs,
  };
  let url = "";
  const links = new LinkDesk(session.tokens, systemClock, () => url);
  const part = startGateway(deps, {
    links,
    config: () => create(MeshConfigSchema),
    status: async () => create(GetStatusResponseSchema),
    prove: createMeshProver(localToken),
  });
  const authenticate = createAuthenticate({
    localToken,
    tokens: session.tokens,
    clock: systemClock,
    maxFailedPerMinute: 1_000,
  });
  const listener = await openEdge({
    host: "127.0.0.1",
    port: 0,
    limits: defaultListenerLimits,
    routes: part.routes,
    server: createServerOptions({ authenticate, clock: systemClock, log, streamIdleTimeoutMs: 900_000 }),
    services: [GatewayService, SessionService, AdminService],
    allowedHosts: [],
    allowedOrigins: [],
    page: (_request, response) => void response.end(),
  });
  onTestFinished(async () => {
    await listener.close(0);
    await part.close();
  });
  ({ url } = listener);
  const connect: RunningGateway["connect"] = ({ token = localToken, headers = {}, json = false }) =>
    checkReasons(
      createConnectTransport({
        baseUrl: url,
        httpVersion: "2",
        useBinaryFormat: !json,
        interceptors: [
          (next) => (request) => {
            if (token !== "") request.header.set("authorization", `Bearer ${token}`);
            for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
            return next(request);
          },
        ],
      }),
    );
  const transport = connect({});
  return {
    url,
    client: createClient(GatewayService, transport),
    session: createClient(SessionService, transport),
    admin: createClient(AdminService, transport),
    connect,
  };
}
