/** A peer that answers one message of a stream and then nothing, until its process is killed. */
import { GatewayService } from "../../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SessionService } from "../../../../gen/atoll/session/v1/session_service_pb.ts";
import { createAuthenticate } from "../../auth/authenticate.ts";
import { createSignedTokens } from "../../auth/signed-tokens.ts";
import { systemClock } from "../../clock.ts";
import { createLog } from "../../log.ts";
import { openEdge } from "../edge/edge.ts";
import { createServerOptions } from "../gate/server-options.ts";
import { defaultListenerLimits } from "../listener/listener-limits.ts";
import { registerService } from "../register-service.ts";

const part = { isWhole: false };

export async function serveUntilKilled(): Promise<void> {
  const tokens = createSignedTokens(new Uint8Array(32).fill(3), systemClock);
  const authenticate = createAuthenticate({ localToken: "", tokens, clock: systemClock, maxFailedPerMinute: 30 });
  const log = createLog({ level: "silent", format: "json" });
  const listener = await openEdge({
    host: "127.0.0.1",
    port: 0,
    limits: defaultListenerLimits,
    routes(router) {
      registerService(router, SessionService, { getSession: () => new Promise(() => undefined) }, part);
      registerService(
        router,
        GatewayService,
        {
          async *subscribe() {
            yield {};
            await new Promise(() => undefined);
          },
        },
        part,
      );
    },
    server: createServerOptions({ authenticate, clock: systemClock, log, streamIdleTimeoutMs: 900_000 }),
    services: [SessionService, GatewayService],
    allowedHosts: [],
    allowedOrigins: [],
    page: (_request, response) => void response.end(),
  });
  process.stdout.write(`${listener.url}\n`);
}
