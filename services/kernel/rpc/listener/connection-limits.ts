// Keeps L7: at most maxConnections sockets in all and maxConnectionsPerAddress from one address.
// Invariant: the counts are those of admitted connections not yet released; a release counts once.
import { canonicalAddress } from "../admission/canonical-address.ts";

export type Admission =
  | { readonly kind: "admitted"; readonly release: () => void }
  | { readonly kind: "refused"; readonly limit: "CONNECTION_LIMIT" | "ADDRESS_LIMIT" };

export interface ConnectionLimits {
  /** Counts the connection in, or says which limit forbids it. The caller releases when the socket has closed. */
  admit(remoteAddress: string): Admission;
  /** Admitted and not yet released. */
  count(): number;
}

export function createConnectionLimits(bounds: {
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
}): ConnectionLimits {
  const perAddress = new Map<string, number>();
  let total = 0;

  const release = (address: string): void => {
    total -= 1;
    const left = (perAddress.get(address) ?? 1) - 1;
    // An address without a connection leaves no entry, so the map is bounded by maxConnections.
    if (left === 0) perAddress.delete(address);
    else perAddress.set(address, left);
  };

  return {
    admit(remoteAddress) {
      if (total >= bounds.maxConnections) return { kind: "refused", limit: "CONNECTION_LIMIT" };
      const address = canonicalAddress(remoteAddress);
      const fromAddress = perAddress.get(address) ?? 0;
      if (fromAddress >= bounds.maxConnectionsPerAddress) return { kind: "refused", limit: "ADDRESS_LIMIT" };
      total += 1;
      perAddress.set(address, fromAddress + 1);
      let released = false;
      return {
        kind: "admitted",
        release: () => {
          if (released) return;
          released = true;
          release(address);
        },
      };
    },
    count: () => total,
  };
}
