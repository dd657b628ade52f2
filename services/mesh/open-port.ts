/** Opens the one port of a process: the contracts that it serves, health, reflection and the web page. */
import { readFileSync } from "node:fs";
import type { ConnectRouterOptions } from "@connectrpc/connect";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { createWebPage } from "../gateway/web-page.ts";
import type { ResolvedConfig } from "../kernel/config/resolved-config.ts";
import { createHealthService } from "../kernel/rpc/discovery/health.ts";
import { createHealthBoard, wholeProcess } from "../kernel/rpc/discovery/health-board.ts";
import { reflectionServices, registerReflection } from "../kernel/rpc/discovery/reflection.ts";
import { openEdge } from "../kernel/rpc/edge/edge.ts";
import type { Draining } from "../kernel/rpc/gate/draining.ts";
import { configuredLimits } from "../kernel/rpc/listener/configured-limits.ts";
import { limitsOfHops } from "../kernel/rpc/listener/listener-limits.ts";
import { publicRpcOptions } from "../kernel/rpc/register-service.ts";
import type { Wiring } from "./wiring.ts";

/** How long answers that are on their way may take to leave when everything else has drained. */
const lastAnswersMs = 1_000;

export interface Port {
  /** Where a client on this machine reaches it. */
  readonly url: string;
  /** Open connections. */
  readonly connections: () => number;
  /** Health answers `SERVING` from now on. */
  readonly announce: () => void;
}

/** Serves what was added to `wiring.served` until now. */
export async function openPort(
  wiring: Wiring,
  {
    server,
    draining,
    webFolder,
  }: {
    readonly server: ConnectRouterOptions;
    readonly draining: Draining;
    readonly webFolder: string;
  },
): Promise<Port> {
  const { config, log, served } = wiring;
  const { publicUrl } = config.access;
  const health = createHealthBoard();
  const contracts = [...served.contracts, Health];
  const listener = await openEdge({
    host: config.listen.host,
    port: config.listen.port,
    ...readTls(config),
    // Strangers come to a gateway; elsewhere only our own services call.
    limits: wiring.services.has("gateway") ? configuredLimits(config) : limitsOfHops(configuredLimits(config)),
    server,
    unary: config.rpc.unary,
    services: [...contracts, ...reflectionServices],
    routes(router) {
      served.register(router);
      router.service(Health, createHealthService(health), publicRpcOptions);
      registerReflection(router, contracts);
    },
    allowedHosts: config.access.allowedHosts,
    allowedOrigins: config.access.allowedOrigins,
    ...(publicUrl === undefined ? {} : { publicUrl }),
    onUndelivered: (path, error) =>
      log.debug({ path, error: String(error) }, "an answer was not taken: its reader left"),
    page: createWebPage(webFolder, publicUrl),
    onFault(fault) {
      if (fault.kind === "SOCKET_ERROR") log.debug({ ...fault }, "a peer left without a goodbye");
      else log.warn({ ...fault }, "a connection was refused or cut");
    },
  });
  await wiring.lifecycle.register({
    name: "port",
    drain() {
      health.setAll("not_serving");
      listener.drain();
    },
    async close() {
      health.close();
      await draining.endCalls();
      await listener.close(lastAnswersMs);
    },
  });
  return {
    url: listener.url,
    connections: () => listener.connections(),
    announce() {
      for (const contract of contracts) health.set(contract.typeName, "serving");
      health.set(wholeProcess, "serving");
    },
  };
}

function readTls({ tls }: ResolvedConfig): { readonly tls?: { readonly cert: Buffer; readonly key: Buffer } } {
  return tls === undefined ? {} : { tls: { cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) } };
}
