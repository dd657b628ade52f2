/**
 * The mesh's door: one port, the guards in front of it, the RPCs and the page behind it.
 *
 * Keeps the threats' answers of the edge: 421 for a host that is not ours, 403 for a page of another origin, sizes and
 * times bounded before anything is believed.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { DescService } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  type ConnectRouterOptions,
  type ContextValues,
  cors,
  createContextValues,
} from "@connectrpc/connect";
import { connectionEndsOf } from "../../auth/mesh-proof.ts";
import { canonicalAddress } from "../admission/canonical-address.ts";
import { exchangeKey, exchangeOf } from "../admission/exchange.ts";
import { addressKey, connectionEndsKey } from "../call-context.ts";
import { type Listener, type ListenerOptions, listen } from "../listener/listener.ts";
import { placeOf, readerPlaceKey } from "../readers/reader-place.ts";
import { createFastUnary } from "../unary/fast-unary.ts";
import { clientStreamingPaths } from "./client-streaming-paths.ts";
import { createNodeHandler } from "./node-handler.ts";
import { checkHost, checkOrigin, type GuardVerdict, listAllowedHosts } from "./origin-guard.ts";
import { readPublicAddress, withoutPrefix } from "./public-address.ts";
import { readTarget } from "./read-target.ts";

/** What a page handler needs of a request; HTTP/2's compatibility layer has it too. */
export type EdgeRequest = Pick<IncomingMessage, "method" | "url" | "headers" | "rawHeaders" | "socket">;
/** What a page handler needs of a response. */
export type EdgeResponse = Pick<ServerResponse, "setHeader" | "writeHead" | "end">;

export interface EdgeOptions extends Omit<ListenerOptions, "onRequest" | "isClientStreaming"> {
  readonly routes: (router: ConnectRouter) => void;
  readonly server: ConnectRouterOptions;
  /** Every served contract, reflection included: which RPCs may keep a request's body open stands there. */
  readonly services: readonly DescService[];
  /** Who answers the unary calls of our own services: our own code, or the library as all other calls. Default fast. */
  readonly unary?: "fast" | "library";
  /** Names that Host may have besides loopback and the listening address, without port. */
  readonly allowedHosts: readonly string[];
  /** Origins of other pages that may call. */
  readonly allowedOrigins: readonly string[];
  /** Where people reach the mesh, when a proxy is in front: its host and origin are ours, its path stands before all paths. */
  readonly publicUrl?: string;
  /** Told when an answer could not be written, most often because its reader has left. Default: nobody. */
  readonly onUndelivered?: (path: string, error: unknown) => void;
  /** Answers what is no RPC. */
  readonly page: (request: EdgeRequest, response: EdgeResponse) => void;
}

const preflightMaxAgeS = 7_200;

export async function openEdge(options: EdgeOptions): Promise<Listener> {
  const origins = new Set(options.allowedOrigins.map((origin) => origin.toLowerCase()));
  let hosts: ReadonlySet<string> = new Set();
  const proxied = options.publicUrl === undefined ? undefined : readPublicAddress(options.publicUrl);
  const ownOrigins = proxied === undefined ? origins : new Set([...origins, proxied.origin]);
  const fast = createFastUnary(options.server);
  const contextValues = (request: EdgeRequest): ContextValues =>
    createContextValues()
      .set(addressKey, addressOf(request))
      .set(connectionEndsKey, () => connectionEndsOf(request.socket, "server"))
      .set(readerPlaceKey, placeOf(request))
      .set(exchangeKey, exchangeOf(request));
  const rpc = createNodeHandler({
    server: options.server,
    routes: (router) => options.routes(fast.noting(router)),
    // Generated clients read 404 as UNIMPLEMENTED, as gRPC and Connect have it.
    notFound: (response) => answerText(response as EdgeResponse, 404, "There is no such RPC here."),
    contextValues,
    onUndelivered: options.onUndelivered ?? (() => undefined),
  });
  const listener = await listen({
    ...options,
    isClientStreaming: clientStreamingPaths(options.services),
    onRequest(request, answer) {
      const response = answer as EdgeResponse;
      const target = readTarget(request);
      if (target === undefined) return answerText(response, 400, "The request names two hosts.");
      const { authority } = target;
      const host = checkHost(authority, hosts);
      if (host.kind === "refused") return refuse(response, host);
      request.url = withoutPrefix(target.url, proxied?.prefix ?? "");
      if (!isRpcPath(request.url)) return options.page(request, response);
      const origin = checkOrigin(request.headers, authority, ownOrigins);
      if (origin.kind === "refused") return refuse(response, origin);
      if (allowOrigin(request, response, origins) === "answered") return;
      const isFast = options.unary !== "library" && "stream" in request && "stream" in answer;
      return (isFast ? fast.take(request, answer, () => contextValues(request)) : undefined) ?? rpc(request, answer);
    },
  });
  hosts = listAllowedHosts({
    host: options.host,
    port: listener.port,
    tls: options.tls !== undefined,
    configured: proxied === undefined ? options.allowedHosts : [...options.allowedHosts, proxied.host],
  });
  return listener;
}

/** `/package.Service/Method`. */
function isRpcPath(url: string | undefined): boolean {
  return /^\/[A-Za-z_][\w]*(\.[A-Za-z_]\w*)+\/[A-Za-z_]\w*(\?|$)/.test(url ?? "");
}

function addressOf(request: EdgeRequest): string | undefined {
  const { remoteAddress } = request.socket;
  return remoteAddress === undefined ? undefined : canonicalAddress(remoteAddress);
}

function refuse(response: EdgeResponse, { status, reason }: Extract<GuardVerdict, { kind: "refused" }>): void {
  answerText(response, status, reason);
}

function answerText(response: EdgeResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" });
  response.end(`${text}\n`);
}

/** Lets the pages of configured origins read answers, and answers their preflights. */
function allowOrigin(
  request: EdgeRequest,
  response: EdgeResponse,
  origins: ReadonlySet<string>,
): "answered" | "goes on" {
  const { origin } = request.headers;
  if (origin === undefined || !origins.has(origin.toLowerCase())) return "goes on";
  response.setHeader("access-control-allow-origin", origin);
  response.setHeader("vary", "origin");
  response.setHeader("access-control-expose-headers", cors.exposedHeaders.join(", "));
  if (request.method !== "OPTIONS") return "goes on";
  response.writeHead(204, {
    "access-control-allow-methods": cors.allowedMethods.join(", "),
    "access-control-allow-headers": [...cors.allowedHeaders, "authorization", "traceparent"].join(", "),
    "access-control-max-age": String(preflightMaxAgeS),
  });
  response.end();
  return "answered";
}
