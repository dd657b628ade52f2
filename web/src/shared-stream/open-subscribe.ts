/**
 * How this tab follows sessions: through the worker that all tabs share, so that they need one connection together. A
 * browser without such workers (mobile ones, which show one tab at a time) opens a stream of its own.
 */
import { type Client, ConnectError } from "@connectrpc/connect";
import type { GatewayService } from "../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SubscriptionPool } from "../../client/subscription-pool.ts";
import type { Port, ToTab, ToWorker } from "./port-messages.ts";
import { createSharedSubscribe, type Subscribe } from "./shared-subscribe.ts";

export function openSubscribe(
  gateway: Client<typeof GatewayService>,
  mesh: { readonly baseUrl: string; readonly token: string },
): Subscribe {
  if (typeof SharedWorker === "undefined") return ownSubscribe(gateway);
  const worker = new SharedWorker(new URL("./stream-worker.ts", import.meta.url), { type: "module", name: "atoll" });
  const port = worker.port as Port<ToWorker, ToTab>;
  const shared = createSharedSubscribe(port, mesh);
  const own = ownSubscribe(gateway);
  const failed = new AbortController();
  // A worker that can't be loaded says so once; what waits for it is let go, and comes again by the other way.
  worker.addEventListener("error", () => failed.abort());
  // A page that the browser keeps may come back, and goes on with the same port.
  window.addEventListener("pagehide", ({ persisted }) => {
    if (!persisted) port.postMessage({ kind: "close" });
  });
  return (request, options = {}) => {
    if (failed.signal.aborted) return own(request, options);
    const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
    return shared(request, { ...options, signal });
  };
}

function ownSubscribe(gateway: Client<typeof GatewayService>): Subscribe {
  const pool = new SubscriptionPool(gateway);
  return (request, { signal, onHeader } = {}) =>
    pool.subscribe(request, {
      ...(signal && { signal }),
      ...(onHeader && { onHeader: () => onHeader(new Headers()) }),
    });
}

/** Tells whoever must know that the mesh does not take the token. */
export function noticeRefusal(subscribe: Subscribe, onError: (error: ConnectError) => void): Subscribe {
  return async function* noticed(request, options) {
    try {
      yield* subscribe(request, options);
    } catch (error) {
      onError(ConnectError.from(error));
      throw error;
    }
  };
}
