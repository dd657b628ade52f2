// The mesh's one port: HTTP/1.1, HTTP/2 without TLS (prior knowledge) and, with a certificate, TLS with ALPN.
// Sockets are accepted here, their protocol is read from the first bytes, and node's own servers take them from there.
// Keeps L7: connections, and the time that a peer may take for a request, are bounded (listener-limits.ts).
// Keeps F4: an address that breaks the protocol or floods waits with its next connections (address-standing.ts).
// Keeps L9: every refused or cut connection is reported (listener-faults.ts).
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { type AddressInfo, createServer, isIPv6, type Server, type Socket } from "node:net";
import { AddressStanding } from "../admission/address-standing.ts";
import { canonicalAddress } from "../admission/canonical-address.ts";
import { watchFloods } from "../admission/flood-watch.ts";
import { createConnectionLimits } from "./connection-limits.ts";
import { createConnectionServer } from "./connection-server.ts";
import { explainListenFailure } from "./listen-error.ts";
import { createFaultReporter, type ListenerFault, type ListenerFaultKind } from "./listener-faults.ts";
import type { ListenerLimits } from "./listener-limits.ts";
import {
  boundFirstRequest,
  destroyConnection,
  drainConnection,
  type OpenConnection,
  openConnection,
} from "./open-connection.ts";
import { type SniffOutcome, sniffProtocol } from "./sniff-protocol.ts";
import { createTlsFront, type TlsFront } from "./tls-front.ts";

export interface ListenerOptions {
  /** Name or address to bind. */
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** PEM. With it the port speaks TLS and refuses plaintext, so that no token crosses the wire in the clear. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer };
  readonly limits: ListenerLimits;
  /** Whether the body of a request for this path may stay open because the client streams (client-streaming-paths.ts). */
  readonly isClientStreaming: (path: string) => boolean;
  /** What connectNodeAdapter returns fits. A handler that throws or rejects is answered with 500. */
  readonly onRequest: (
    request: IncomingMessage | Http2ServerRequest,
    response: ServerResponse | Http2ServerResponse,
  ) => void | Promise<void>;
  /** Told of what was refused, cut off or lost; default: nobody. Must not throw. */
  readonly onFault?: (fault: ListenerFault) => void;
}

export interface Listener {
  /** The bound address. */
  readonly host: string;
  readonly port: number;
  /** Where a client on this machine reaches it; a wildcard address is shown as loopback. */
  readonly url: string;
  /** Open connections. */
  connections(): number;
  /** Stops accepting, sends GOAWAY (HTTP/2) or "Connection: close" (HTTP/1.1), closes what is idle. Idempotent. */
  drain(): void;
  /** Drains, waits up to `deadlineMs` for open requests, then destroys what is left. Idempotent. */
  close(deadlineMs: number): Promise<void>;
}

/** Opens the port. Throws ListenError when the address cannot be bound, node's own error when cert and key do not fit. */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const { limits } = options;
  const faults = createFaultReporter(options.onFault ?? (() => undefined), limits.faultWindowMs);
  const admission = createConnectionLimits(limits);
  const connections = new Set<OpenConnection>();
  const standing = new AddressStanding(limits);
  const floods = watchFloods(connections, standing, ({ remoteAddress }, bytes) => {
    faults.report("ADDRESS_FLOOD", remoteAddress, `${bytes} bytes at once, and no caller is proven`);
  });
  const http = createConnectionServer({ ...options, faults, standing });
  const takeOffTls = options.tls && createTlsFront({ ...options.tls, handshakeTimeoutMs: limits.sniffTimeoutMs });
  const emptied = Promise.withResolvers<void>();
  let draining = false;

  const accept = (socket: Socket): void => {
    const { remoteAddress } = socket;
    // A peer that reset before it was accepted has no address any more.
    if (remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    const admitted = admission.admit(remoteAddress);
    if (admitted.kind === "refused") {
      faults.report(admitted.limit, remoteAddress, `${admission.count()} connections open`);
      socket.destroy();
      return;
    }
    const connection = openConnection(socket, remoteAddress);
    connections.add(connection);
    socket.once("close", () => {
      connections.delete(connection);
      admitted.release();
      if (draining && connections.size === 0) emptied.resolve();
    });
    socket.on("error", (error) => {
      // Once a protocol is decided its server reports what goes wrong, with a better word for it.
      if (connection.protocol.kind !== "undecided" || isPeerGone(error)) return;
      faults.report("SOCKET_ERROR", remoteAddress, error.message);
    });
    const probeIntervalMs = limits.tcpKeepAliveDelayMs / tcpKeepAliveProbes;
    socket.setKeepAlive(true, limits.tcpKeepAliveDelayMs, probeIntervalMs, tcpKeepAliveProbes);
    const waitMs = standing.admitInMs(canonicalAddress(remoteAddress));
    if (waitMs === 0) {
      begin(connection);
      return;
    }
    faults.report("ADDRESS_PENALTY", remoteAddress, `its connection waits ${Math.round(waitMs)} ms`);
    // Nothing of it is read meanwhile: it costs its place among the connections, and no time.
    const timer = setTimeout(begin, waitMs, connection).unref();
    socket.once("close", () => clearTimeout(timer));
  };

  const begin = (connection: OpenConnection): void => {
    const { socket, remoteAddress } = connection;
    boundFirstRequest(connection, limits.firstRequestTimeoutMs, () => {
      faults.report("FIRST_REQUEST_TIMEOUT", remoteAddress, `${connection.protocol.kind} without a complete request`);
    });
    sniffProtocol(socket, limits.sniffTimeoutMs, (outcome) => route(connection, outcome));
  };

  const refuse = (connection: OpenConnection, kind: ListenerFaultKind, why: string): void => {
    faults.report(kind, connection.remoteAddress, why);
    connection.socket.destroy();
  };

  const route = (connection: OpenConnection, outcome: SniffOutcome): void => {
    switch (outcome) {
      case "gone":
        connection.socket.destroy();
        break;
      case "timeout":
        refuse(connection, "SNIFF_TIMEOUT", "no protocol shown");
        break;
      case "tls":
        if (takeOffTls === undefined) refuse(connection, "TLS_NOT_CONFIGURED", "a TLS client, but no certificate");
        else shakeHands(connection, takeOffTls);
        break;
      case "http1":
      case "http2":
        if (takeOffTls === undefined) http.serve(connection, connection.socket, outcome);
        else refusePlaintext(connection, outcome);
    }
  };

  const shakeHands = (connection: OpenConnection, takeOff: TlsFront): void => {
    takeOff(connection.socket, {
      onSecure: (secure, protocol) => http.serve(connection, secure, protocol),
      onFailed: (reason) => faults.report("TLS_HANDSHAKE_FAILED", connection.remoteAddress, reason),
    });
  };

  const refusePlaintext = ({ socket, remoteAddress }: OpenConnection, protocol: "http1" | "http2"): void => {
    faults.report("PLAINTEXT_REFUSED", remoteAddress, `${protocol} without TLS`);
    socket.end(protocol === "http1" ? plaintextAnswer : "", () => socket.destroy());
  };

  const server = await bind(options.host, options.port, accept);
  server.on("error", (error) => faults.report("ACCEPT_ERROR", undefined, error.message));
  const { address, port } = server.address() as AddressInfo;

  const drain = (): void => {
    if (draining) return;
    draining = true;
    http.drain();
    server.close();
    for (const connection of connections) drainConnection(connection);
    if (connections.size === 0) emptied.resolve();
  };
  const destroyAll = (): void => {
    faults.report("CLOSED_AT_DEADLINE", undefined, `${connections.size} connections had open requests`);
    for (const connection of connections) destroyConnection(connection);
  };

  return {
    host: address,
    port,
    url: `${takeOffTls === undefined ? "http" : "https"}://${reachableHost(address)}:${port}`,
    connections: () => admission.count(),
    drain,
    async close(deadlineMs) {
      drain();
      const timer = setTimeout(destroyAll, deadlineMs);
      await emptied.promise;
      clearTimeout(timer);
      floods.close();
      http.close();
      faults.close();
    },
  };
}

const tcpKeepAliveProbes = 3;
const plaintextAnswer =
  "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nThis port speaks TLS: use https.\n";

async function bind(host: string, port: number, accept: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ noDelay: true }, accept);
  try {
    server.listen({ host, port });
    await once(server, "listening");
    return server;
  } catch (cause) {
    throw explainListenFailure(cause, host, port);
  }
}

function isPeerGone(error: Error): boolean {
  return "code" in error && (error.code === "ECONNRESET" || error.code === "EPIPE");
}

function reachableHost(address: string): string {
  if (address === "0.0.0.0") return "127.0.0.1";
  if (address === "::") return "[::1]";
  return isIPv6(address) ? `[${address}]` : address;
}
