/** The worker that all tabs of a browser share: one stream to the mesh for each token, whatever the number of tabs. */
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { GatewayService } from "../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SubscriptionPool } from "../../client/subscription-pool.ts";
import type { Port, ToTab, ToWorker } from "./port-messages.ts";
import { servePort } from "./serve-port.ts";

const pools = new Map<string, SubscriptionPool>();

function poolOf(baseUrl: string, token: string): SubscriptionPool {
  for (const [key, pool] of pools) if (pool.size === 0) pools.delete(key);
  const key = `${baseUrl}\n${token}`;
  const found = pools.get(key);
  if (found !== undefined) return found;
  const transport = createConnectTransport({
    baseUrl,
    useBinaryFormat: true,
    interceptors: [
      (next) => (request) => {
        request.header.set("authorization", `Bearer ${token}`);
        return next(request);
      },
    ],
  });
  const pool = new SubscriptionPool(createClient(GatewayService, transport));
  pools.set(key, pool);
  return pool;
}

addEventListener("connect", (event) => {
  const [port] = (event as MessageEvent).ports;
  if (port !== undefined) servePort(port as Port<ToTab, ToWorker>, poolOf);
});
