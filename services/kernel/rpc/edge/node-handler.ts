/**
 * Connects the library's handlers to node's requests: what connectNodeAdapter does, with our own words for what can't be
 * answered, deadlines that a timer can hold, and headers that keep a proxy from holding a stream back.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import {
  type ConnectRouter,
  type ConnectRouterOptions,
  type ContextValues,
  createConnectRouter,
} from "@connectrpc/connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { takeTurns } from "../readers/take-turns.ts";
import { boundDeadlines } from "../unary/bound-deadlines.ts";

type NodeRequest = IncomingMessage | Http2ServerRequest;
type NodeResponse = ServerResponse | Http2ServerResponse;

export interface NodeHandlerOptions {
  readonly server: ConnectRouterOptions;
  readonly routes: (router: ConnectRouter) => void;
  readonly contextValues: (request: NodeRequest) => ContextValues;
  /** Answers a path that is no RPC of these. */
  readonly notFound: (response: NodeResponse) => void;
  /** Told when an answer could not be written, most often because its reader has left. */
  readonly onUndelivered: (path: string, error: unknown) => void;
}

export function createNodeHandler(
  options: NodeHandlerOptions,
): (request: NodeRequest, response: NodeResponse) => Promise<void> {
  const router = createConnectRouter({ ...options.server });
  options.routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return async (request, response) => {
    const path = request.url?.split("?", 1)[0] ?? "";
    const handler = handlers.get(path);
    if (handler === undefined) return options.notFound(response);
    const universal = universalRequestFromNodeRequest(request, response, undefined, options.contextValues(request));
    boundDeadlines(universal.header);
    assumeVersion(universal.header);
    try {
      const answer = await handler(universal);
      if (handler.method.methodKind !== "unary") keepFlowing(answer.header);
      const turning = answer.body === undefined ? answer : { ...answer, body: takeTurns(answer.body) };
      await universalResponseToNodeResponse(turning, response);
    } catch (error) {
      options.onUndelivered(path, error);
    }
  };
}

/** nginx and others hold an answer back, or compress it in blocks, unless it asks them not to. */
function keepFlowing(header: Headers | undefined): void {
  header?.set("x-accel-buffering", "no");
  header?.set("cache-control", "no-store, no-transform");
}

const versionHeader = "connect-protocol-version";

/**
 * The header keeps a page of another site from calling with what its browser adds by itself (a cookie). No browser adds a
 * bearer token, so that plain JSON with one needs no more.
 */
function assumeVersion(header: Headers): void {
  if (header.has(versionHeader) || header.has("cookie")) return;
  if (!/^Bearer /i.test(header.get("authorization") ?? "")) return;
  if (/^application\/(connect\+)?json\b/i.test(header.get("content-type") ?? "")) header.set(versionHeader, "1");
}
