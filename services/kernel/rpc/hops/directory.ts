/**
 * Finds the peers of a service (L1): in this process over an in-memory transport, or elsewhere over HTTP/2. Whoever is
 * handed a transport can't tell which.
 *
 * Keeps L6: which calls may stay open for long is read from the contract. They have connections of their own, because a
 * connection has a bounded number of streams, and the call that is one too many waits until another one ends.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  type ConnectRouterOptions,
  createRouterTransport,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { defaultUnaryTimeoutMs, ruleOf } from "../gate/method-rule.ts";
import { openHopSessions } from "./hop-sessions.ts";

/** Where a peer is. */
export type Peer =
  | { readonly kind: "local"; readonly routes: (router: ConnectRouter) => void }
  /** `http://host:port` or `https://host:port`. */
  | { readonly kind: "remote"; readonly url: string };

/** The largest message between our own services: 4 MiB of content and its frame. */
export const maxMessageBytes = 4_259_840;

export function connectPeer(peer: Peer, hop: Interceptor, server: ConnectRouterOptions): Transport {
  switch (peer.kind) {
    case "local":
      return createRouterTransport(peer.routes, { router: server, transport: { interceptors: [hop] } });
    case "remote":
      return connectRemote(peer.url, hop);
  }
}

/** A connection for each lane, opened when it is first needed. Their number: `connectionsOfPeer` (listener-limits.ts). */
function connectRemote(url: string, hop: Interceptor): Transport {
  const lanes: Record<Lane, Transport> = {
    short: openLane(url, hop),
    wait: openLane(url, hop),
    stream: openLane(url, hop),
  };
  return {
    unary: (method, ...call) => lanes[laneOf(method)].unary(method, ...call),
    stream: (method, ...call) => lanes[laneOf(method)].stream(method, ...call),
  };
}

/**
 * Which calls share a connection: `wait` are unary RPCs that may wait for something to happen (WaitRun, InvokeTool),
 * `stream` the ones that live as long as somebody listens (Watch, Attach, CallTool).
 */
type Lane = "short" | "wait" | "stream";

function laneOf(method: DescMethod): Lane {
  if (method.methodKind !== "unary") return "stream";
  const { maxTimeoutMs = defaultUnaryTimeoutMs } = ruleOf(method);
  return maxTimeoutMs > defaultUnaryTimeoutMs ? "wait" : "short";
}

function openLane(baseUrl: string, hop: Interceptor): Transport {
  return createConnectTransport({
    baseUrl,
    httpVersion: "2",
    useBinaryFormat: true,
    interceptors: [hop],
    readMaxBytes: maxMessageBytes,
    writeMaxBytes: maxMessageBytes,
    // Both ends of a hop stand on one network: compressing costs more than it saves.
    acceptCompression: [],
    sessionManager: openHopSessions(baseUrl),
  });
}
