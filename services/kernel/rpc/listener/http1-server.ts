// The HTTP/1.1 half of the listener: node's server with bounds, fed with sockets that the listener accepted.
// Keeps L7 (header, request and idle bounds) and L9 (a refused request is answered and reported).
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { ListenerFaultKind } from "./listener-faults.ts";
import type { ListenerLimits } from "./listener-limits.ts";

interface Refusal {
  readonly status: string;
  readonly fault: ListenerFaultKind;
}

/**
 * `onRequest` is called for requests within the limits. `onRefused` is told of the others, which are answered here
 * with 400, 408 or 431 and closed.
 */
export function createHttp1Server(
  limits: ListenerLimits,
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
  onRefused: (fault: ListenerFaultKind, socket: Duplex, detail: string) => void,
): Server {
  const server = createServer(
    {
      headersTimeout: limits.http1HeadersTimeoutMs,
      requestTimeout: limits.http1RequestTimeoutMs,
      connectionsCheckingInterval: limits.http1TimeoutCheckIntervalMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      maxHeaderSize: limits.maxHeaderBytes,
    },
    (request, response) => {
      const headerPairs = request.rawHeaders.length / 2;
      if (headerPairs <= limits.maxHeaderPairs) return onRequest(request, response);
      onRefused("HEADERS_TOO_LARGE", request.socket, `more than ${limits.maxHeaderPairs} headers`);
      response.writeHead(431, { connection: "close" }).end(() => request.socket.destroy());
    },
  );
  // What node does with more differs by release (some drop the rest without a word), so one more than allowed is let
  // through and refused above.
  server.maxHeadersCount = limits.maxHeaderPairs + 1;
  server.on("clientError", (error, socket) => {
    const refusal = refusalOf(error);
    if (refusal === undefined) {
      socket.destroy();
      return;
    }
    onRefused(refusal.fault, socket, error.message);
    if (socket.writable) socket.end(`HTTP/1.1 ${refusal.status}\r\nConnection: close\r\n\r\n`, () => socket.destroy());
    else socket.destroy();
  });
  // The timeouts above start with "listening", which a server that is handed its sockets never emits by itself.
  server.emit("listening");
  return server;
}

/** Undefined for a peer that merely went away. */
function refusalOf(error: Error): Refusal | undefined {
  switch ("code" in error ? error.code : undefined) {
    case "ECONNRESET":
    case "EPIPE":
      return undefined;
    case "HPE_HEADER_OVERFLOW":
      return { status: "431 Request Header Fields Too Large", fault: "HEADERS_TOO_LARGE" };
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return { status: "408 Request Timeout", fault: "HTTP1_TIMEOUT" };
    default:
      return { status: "400 Bad Request", fault: "HTTP1_PROTOCOL_ERROR" };
  }
}
