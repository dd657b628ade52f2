/** RPCs behind the real door and gate of the mesh, on a socket and in memory, with handlers that a test writes. */
import type { DescService } from "@bufbuild/protobuf";
import { ConnectError, type ConnectRouter, type ServiceImpl, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { onTestFinished } from "vitest";
import { Scope } from "../../../gen/atoll/auth/v1/options_pb.ts";
import { createAuthenticate } from "../auth/authenticate.ts";
import type { Principal } from "../auth/principal.ts";
import { createSignedTokens, type SignedTokens } from "../auth/signed-tokens.ts";
import { type Clock, systemClock } from "../clock.ts";
import { type FailureFacts, failureFacts, reasonName } from "../errors.ts";
import { createLog } from "../log.ts";
import { callValues } from "./call-context.ts";
import { openEdge } from "./edge/edge.ts";
import { createServerOptions } from "./gate/server-options.ts";
import { connectPeer } from "./hops/directory.ts";
import { createHopInterceptor } from "./hops/hop-interceptor.ts";
import type { Listener } from "./listener/listener.ts";
import { defaultListenerLimits } from "./listener/listener-limits.ts";
import { registerService } from "./register-service.ts";

export const localToken = `atl_${"t".repeat(43)}`;
export const allowedOrigin = "https://app.example";

/** One service and what its handlers do. */
export interface Served {
  readonly service: DescService;
  readonly handlers: object;
}

export function served<Service extends DescService>(service: Service, handlers: Partial<ServiceImpl<Service>>): Served {
  return { service, handlers };
}

export interface ServedRpcs {
  readonly listener: Listener;
  readonly tokens: SignedTokens;
  /** Lines of the log so far. */
  readonly logLines: readonly string[];
  /** As one of our own services calls it in this process. */
  readonly inMemory: Transport;
  /** As one of our own services calls it over HTTP/2. */
  readonly remote: Transport;
  /** As a program outside calls it. */
  readonly connect: (protocol: Protocol, token?: string) => Transport;
}

export const protocols = ["Connect", "Connect over HTTP/1.1", "gRPC", "gRPC-Web"] as const;
export type Protocol = (typeof protocols)[number];

export async function serveRpcs(
  services: readonly Served[],
  {
    clock = systemClock as Clock,
    streamIdleTimeoutMs = 900_000,
    maxFailedPerMinute = 30,
    limits = defaultListenerLimits,
    unary = "fast" as "fast" | "library",
  } = {},
): Promise<ServedRpcs> {
  const logLines: string[] = [];
  const log = createLog({ level: "debug", format: "json", destination: { write: (line) => void logLines.push(line) } });
  const tokens = createSignedTokens(new Uint8Array(32).fill(3), systemClock);
  const authenticate = createAuthenticate({ localToken, tokens, clock: systemClock, maxFailedPerMinute });
  const server = createServerOptions({ authenticate, clock, log, streamIdleTimeoutMs });
  const routes = (router: ConnectRouter): void => {
    for (const { service, handlers } of services) registerService(router, service, handlers, { isWhole: false });
  };
  const listener = await openEdge({
    host: "127.0.0.1",
    port: 0,
    limits,
    routes,
    server,
    unary,
    services: services.map(({ service }) => service),
    allowedHosts: ["mesh.example"],
    allowedOrigins: [allowedOrigin],
    page(request, response) {
      response.writeHead(200, { "content-type": "text/plain" });
      response.end(`page ${request.url}`);
    },
  });
  onTestFinished(() => listener.close(0));
  const hop = createHopInterceptor("session", tokens, clock);
  return {
    listener,
    tokens,
    logLines,
    inMemory: connectPeer({ kind: "local", routes }, hop, server),
    remote: connectPeer({ kind: "remote", url: listener.url }, hop, server),
    connect: (protocol, token = localToken) => transportOf(protocol, listener.url, token),
  };
}

function transportOf(protocol: Protocol, baseUrl: string, token: string): Transport {
  const options = {
    baseUrl,
    interceptors: [
      (next: (request: never) => Promise<never>) => (request: { readonly header: Headers }) => {
        if (token !== "") request.header.set("authorization", `Bearer ${token}`);
        return next(request as never);
      },
    ] as never[],
  };
  switch (protocol) {
    case "Connect":
      return createConnectTransport({ ...options, httpVersion: "2" });
    case "Connect over HTTP/1.1":
      return createConnectTransport({ ...options, httpVersion: "1.1" });
    case "gRPC":
      return createGrpcTransport(options);
    case "gRPC-Web":
      return createGrpcWebTransport({ ...options, httpVersion: "2" });
  }
}

export const administrator: Principal = {
  tenant: "local",
  name: "user:ada",
  scopes: new Set([Scope.ADMIN]),
  origin: undefined,
  run: undefined,
};

export const traceId = "0af7651916cd43dd8448eb211c80319c";

/** Call options of a service that calls a peer for somebody. */
export function onBehalfOf(principal: Principal | undefined): { contextValues: ReturnType<typeof callValues> } {
  return { contextValues: callValues(principal, traceId) };
}

/** What a call failed with: its code, its text and what programs read. Throws when it did not fail. */
export async function failureOf(
  call: Promise<unknown>,
): Promise<{ code: number; text: string; reason: string } & Omit<FailureFacts, "reason">> {
  try {
    await call;
  } catch (error) {
    const known = ConnectError.from(error);
    const { reason, ...facts } = failureFacts(known);
    return {
      code: known.code,
      text: known.rawMessage,
      reason: reason === undefined ? "" : reasonName(reason),
      ...facts,
    };
  }
  throw new Error("the call did not fail");
}

/** Reads a stream to its end. */
export async function drained(stream: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of stream) count += 1;
  return count;
}
