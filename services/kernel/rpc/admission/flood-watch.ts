/**
 * Ends connections that send and send without anybody proven behind them.
 *
 * Keeps F4: frames that are no request (WINDOW_UPDATE, PING, SETTINGS, empty DATA, CONTINUATION), and requests that nobody
 * may make, cost the address that they come from. What a connection received is counted in bytes of its socket, whatever
 * they were, so that no kind of frame is free. A connection on which a caller was proven lately is not charged.
 */

import { destroyConnection, type OpenConnection } from "../listener/open-connection.ts";
import type { AddressStanding } from "./address-standing.ts";
import { canonicalAddress } from "./canonical-address.ts";

/** How often the bytes are looked at. What comes between two looks is what the machine can read in that time. */
const lookIntervalMs = 100;
/** For how long a call that was proven vouches for its connection when it is over. */
const provenForMs = 30_000;
/** A connection that spends less between two looks is left alone: it may be somebody else behind the same address. */
const leastFloodBytes = 4_096;

export interface FloodWatch {
  close(): void;
}

export function watchFloods(
  connections: ReadonlySet<OpenConnection>,
  standing: AddressStanding,
  onFlood: (connection: OpenConnection, bytes: number) => void,
): FloodWatch {
  const look = (): void => {
    const nowMs = performance.now();
    /** Of each address, what its unproven connections spent since the last look. */
    const spenders = new Map<string, OpenConnection[]>();
    for (const connection of connections) {
      const read = connection.socket.bytesRead;
      const bytes = read - connection.countedBytes;
      connection.countedBytes = read;
      const spent = connection.spentBytes + bytes;
      connection.spentBytes = 0;
      if (spent === 0 || isProven(connection, nowMs)) continue;
      const address = canonicalAddress(connection.remoteAddress);
      if (bytes > 0) standing.charge(address, bytes);
      const beside = spenders.get(address);
      if (beside === undefined) spenders.set(address, [connection]);
      else beside.push(connection);
      connection.lastSpentBytes = spent;
    }
    for (const [address, spending] of spenders) {
      if (!standing.isSpent(address)) continue;
      const total = spending.reduce((bytes, { lastSpentBytes }) => bytes + lastSpentBytes, 0);
      const floodBytes = Math.max(leastFloodBytes, total / spending.length);
      for (const connection of spending) {
        if (connection.lastSpentBytes < floodBytes) continue;
        standing.offend(address);
        onFlood(connection, connection.lastSpentBytes);
        destroyConnection(connection);
      }
    }
  };
  const timer = setInterval(look, lookIntervalMs).unref();
  return { close: () => clearInterval(timer) };
}

function isProven({ provenCalls, provenAtMs }: OpenConnection, nowMs: number): boolean {
  return provenCalls > 0 || (provenAtMs !== undefined && nowMs - provenAtMs < provenForMs);
}
