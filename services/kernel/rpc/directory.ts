/**
 * Finds the peers of a service (L1): in this process over an in-memory transport, or elsewhere over HTTP/2. Whoever is
 * handed a transport can't tell which.
 */
import {
  type ConnectRouter,
  type ConnectRouterOptions,
  createRouterTransport,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";

/** Where a peer is. */
export type Peer =
  | { readonly kind: "local"; readonly routes: (router: ConnectRouter) => void }
  /** `http://host:port` or `https://host:port`. */
  | { readonly kind: "remote"; readonly url: string };

/** Between our own services: 1 MiB, so that a batch never waits for a window. */
const windowBytes = 1_048_576;
/** The largest message between our own services: 4 MiB of content and its frame. */
const maxMessageBytes = 4_259_840;

export function connectPeer(peer: Peer, hop: Interceptor, server: ConnectRouterOptions): Transport {
  switch (peer.kind) {
    case "local":
      return createRouterTransport(peer.routes, { router: server, transport: { interceptors: [hop] } });
    case "remote":
      return createConnectTransport({
        baseUrl: peer.url,
        httpVersion: "2",
        useBinaryFormat: true,
        interceptors: [hop],
        readMaxBytes: maxMessageBytes,
        writeMaxBytes: maxMessageBytes,
        // Both ends of a hop stand on one network: compressing costs more than it saves.
        acceptCompression: [],
        pingIntervalMs: 20_000,
        pingTimeoutMs: 10_000,
        pingIdleConnection: true,
        nodeOptions: { settings: { initialWindowSize: windowBytes, enablePush: false } },
      });
  }
}
