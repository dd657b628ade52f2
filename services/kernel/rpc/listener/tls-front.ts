// Takes TLS off accepted sockets and says what was agreed by ALPN.
// Keeps L7: a handshake has a deadline. Keeps L9: a failed one is told with its reason.
import type { Socket } from "node:net";
import { createServer } from "node:tls";

export interface TlsFrontOptions {
  /** PEM. */
  readonly cert: string | Buffer;
  /** PEM. */
  readonly key: string | Buffer;
  readonly handshakeTimeoutMs: number;
}

export interface TlsOutcomes {
  /** `socket` carries plaintext; a client without ALPN speaks HTTP/1.1. */
  readonly onSecure: (socket: Socket, protocol: "http1" | "http2") => void;
  readonly onFailed: (reason: string) => void;
}

/** Takes a raw socket through the handshake; bytes that were pushed back into it are read first. */
export type TlsFront = (raw: Socket, outcomes: TlsOutcomes) => void;

/** Throws when cert and key do not fit together. */
export function createTlsFront(options: TlsFrontOptions): TlsFront {
  const server = createServer({
    cert: options.cert,
    key: options.key,
    minVersion: "TLSv1.2",
    ALPNProtocols: ["h2", "http/1.1"],
    handshakeTimeout: options.handshakeTimeoutMs,
  });
  // Node's events carry the TLS socket only; the addresses of both ends tell which raw socket it stands on.
  const handshakes = new Map<string, TlsOutcomes>();
  const take = (socket: Socket): TlsOutcomes | undefined => handshakes.get(connectionKey(socket));

  server.on("secureConnection", (socket) => {
    take(socket)?.onSecure(socket, socket.alpnProtocol === "h2" ? "http2" : "http1");
  });
  server.on("tlsClientError", (error, socket) => {
    take(socket)?.onFailed(error.message);
    socket.destroy();
  });
  return (raw, outcomes) => {
    const key = connectionKey(raw);
    handshakes.set(key, outcomes);
    raw.once("close", () => handshakes.delete(key));
    server.emit("connection", raw);
  };
}

function connectionKey(socket: Socket): string {
  return `${socket.localAddress}:${socket.localPort} ${socket.remoteAddress}:${socket.remotePort}`;
}
