/**
 * How a mesh proves to a program on its own machine that it is the mesh of a data folder, before the program sends it the
 * token that stands there. Both know the token, and neither has to say it.
 *
 * Keeps: the proof tells nothing about the token; it is bound to one connection by the addresses and ports of both ends as
 * each of them sees it, so that whoever forwards the question to the true mesh gets an answer about another connection.
 */
import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";

/** Address and port as text, with a space between: `127.0.0.1 18789`. */
export interface ConnectionEnds {
  /** Where the mesh listens. */
  readonly server: string;
  /** Who asks. */
  readonly client: string;
}

/** @param nonce 32 random bytes of who asks. */
export type MeshProver = (nonce: Uint8Array, ends: ConnectionEnds) => Uint8Array;

const purpose = "atoll mesh proof v1";

export function createMeshProver(localToken: string): MeshProver {
  const key = Buffer.from(hkdfSync("sha256", localToken, "", purpose, 32));
  return (nonce, { server, client }) =>
    createHmac("sha256", key).update(purpose).update(nonce).update(`\0${server}\0${client}`).digest();
}

/** Whether the proof is that of the mesh with this token, for this nonce on this connection. */
export function provesMesh(
  localToken: string,
  { nonce, ends, proof }: { readonly nonce: Uint8Array; readonly ends: ConnectionEnds; readonly proof: Uint8Array },
): boolean {
  const expected = createMeshProver(localToken)(nonce, ends);
  return proof.length === expected.length && timingSafeEqual(proof, expected);
}

interface SocketEnds {
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

/** The ends of a socket that is held by `holder`; undefined when it is not connected. */
export function connectionEndsOf(socket: SocketEnds, holder: "server" | "client"): ConnectionEnds | undefined {
  const own = endOf(socket.localAddress, socket.localPort);
  const other = endOf(socket.remoteAddress, socket.remotePort);
  if (own === undefined || other === undefined) return undefined;
  return holder === "server" ? { server: own, client: other } : { server: other, client: own };
}

/** A socket that listens on IPv6 and IPv4 sees `::ffff:127.0.0.1` where the other end sees `127.0.0.1`. */
function endOf(address: string | undefined, port: number | undefined): string | undefined {
  if (address === undefined || port === undefined) return undefined;
  return `${address.replace(/%.*$/s, "").replace(/^::ffff:(?=\d+\.)/i, "")} ${port}`;
}
