// What the listener knows of one accepted connection, from accept to close.
// Invariant: `exchanges` holds the requests whose answer is not finished; a connection without one is idle.
import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import { type EdgeRequest, type EdgeResponse, isRequestReceived } from "./request-timeouts.ts";

export type ConnectionProtocol =
  | { readonly kind: "undecided" }
  | { readonly kind: "http1"; readonly socket: Socket }
  | { readonly kind: "http2"; readonly session: ServerHttp2Session };

export interface OpenConnection {
  /** The accepted socket, under TLS the one that carries the ciphertext. */
  readonly socket: Socket;
  readonly remoteAddress: string;
  protocol: ConnectionProtocol;
  readonly exchanges: Map<EdgeRequest, EdgeResponse>;
  /** "awaited" until a request arrived in full or, where the client may stream, with its headers. */
  firstRequest: "awaited" | "arrived";
  /** Calls whose caller was proven and whose answer is not finished. */
  provenCalls: number;
  /** When the last of them was proven or ended, on the monotonic clock; undefined before the first one. */
  provenAtMs: number | undefined;
  /** What requests of nobody proven cost since flood-watch.ts looked last, beside the bytes of the socket. */
  spentBytes: number;
  /** The bytes of the socket that flood-watch.ts has seen, and what it found at its last look. */
  countedBytes: number;
  lastSpentBytes: number;
}

export function openConnection(socket: Socket, remoteAddress: string): OpenConnection {
  return {
    ...{ socket, remoteAddress, protocol: { kind: "undecided" }, exchanges: new Map(), firstRequest: "awaited" },
    ...{ provenCalls: 0, provenAtMs: undefined, spentBytes: 0, countedBytes: 0, lastSpentBytes: 0 },
  };
}

/** Destroys the connection unless its first request arrives within `timeoutMs`. */
export function boundFirstRequest(connection: OpenConnection, timeoutMs: number, onLate: () => void): void {
  const timer = setTimeout(() => {
    if (connection.firstRequest === "arrived") return;
    if ([...connection.exchanges.keys()].some(isRequestReceived)) return;
    onLate();
    destroyConnection(connection);
  }, timeoutMs).unref();
  connection.socket.once("close", () => clearTimeout(timer));
}

/** Asks the peer to go: GOAWAY on HTTP/2, "Connection: close" on HTTP/1.1, the end of the socket where nothing is open. */
export function drainConnection({ protocol, exchanges, firstRequest, socket }: OpenConnection): void {
  switch (protocol.kind) {
    case "undecided":
      // Nothing was asked yet, so nothing is lost.
      socket.destroy();
      return;
    case "http1":
      for (const response of exchanges.values()) {
        if (!response.headersSent) response.setHeader("connection", "close");
      }
      // A connection in the middle of its first request is left to finish it.
      if (exchanges.size === 0 && firstRequest === "arrived") protocol.socket.end();
      return;
    case "http2":
      protocol.session.close();
      return;
  }
}

export function destroyConnection({ protocol, socket }: OpenConnection): void {
  switch (protocol.kind) {
    case "undecided":
      break;
    case "http1":
      protocol.socket.destroy();
      break;
    case "http2":
      protocol.session.destroy();
      break;
  }
  socket.destroy();
}
