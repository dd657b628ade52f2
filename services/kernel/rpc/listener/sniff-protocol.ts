// One port, three protocols: the first bytes of a connection tell which.
// Invariants: no byte is lost (what was read is pushed back) and at most one chunk is held while undecided, because the
// decision needs no more than the preface's first bytes.
// Keeps L7: a peer that does not show its protocol within timeoutMs is given up.
import type { Socket } from "node:net";

export type SniffedProtocol = "http1" | "http2" | "tls";
export type SniffOutcome = SniffedProtocol | "timeout" | "gone";

/** The start of the HTTP/2 connection preface (RFC 9113 §3.4); no HTTP/1 request can begin like this. */
const http2Preface = Buffer.from("PRI * HTTP/2");
/** The content type of a TLS handshake record (RFC 8446 §5.1). */
const tlsHandshakeRecord = 0x16;

/** Which protocol begins with these bytes; undefined when they are too few to tell. */
export function classifyFirstBytes(bytes: Buffer): SniffedProtocol | undefined {
  if (bytes.length === 0) return undefined;
  if (bytes[0] === tlsHandshakeRecord) return "tls";
  const compared = Math.min(bytes.length, http2Preface.length);
  if (bytes.compare(http2Preface, 0, compared, 0, compared) !== 0) return "http1";
  return compared === http2Preface.length ? "http2" : undefined;
}

/**
 * Reads until the protocol is known, pushes the bytes back and tells `onOutcome`, once. The socket is not flowing
 * then. "gone": it ended or broke first.
 */
export function sniffProtocol(socket: Socket, timeoutMs: number, onOutcome: (outcome: SniffOutcome) => void): void {
  let seen: Buffer = Buffer.alloc(0);
  const settle = (outcome: SniffOutcome): void => {
    clearTimeout(timer);
    socket.off("readable", onReadable).off("end", onGone).off("close", onGone);
    if (seen.length > 0 && outcome !== "timeout" && outcome !== "gone") socket.unshift(seen);
    onOutcome(outcome);
  };
  const onReadable = (): void => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const protocol = classifyFirstBytes(seen);
    if (protocol !== undefined) settle(protocol);
  };
  const onGone = (): void => settle("gone");
  const timer = setTimeout(settle, timeoutMs, "timeout");
  socket.on("readable", onReadable).on("end", onGone).on("close", onGone);
}
