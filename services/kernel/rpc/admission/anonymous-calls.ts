/**
 * The places of public RPCs (health, reflection), which anybody may call.
 *
 * Keeps F4: what callers that nobody knows hold is a sum, of an address and of all. With anonymousReadBytes a call and the
 * window of its stream, all of them together hold less than 36 MiB of what was sent.
 */

/** Bytes of one message of a public RPC, which is never compressed. The longest symbol or file name fits many times. */
export const anonymousReadBytes = 4_096;
/** Messages of one stream of a public RPC. A tool that lists a whole mesh asks fewer than a hundred questions. */
export const anonymousStreamMessages = 256;
/** Milliseconds from a public stream's headers to its first message. */
export const anonymousFirstMessageMs = 10_000;

export interface AnonymousCalls {
  /** A function that gives the place back, once; or the limit that forbids it. */
  enter(address: string): (() => void) | "address" | "all";
  /** Places that are taken. */
  count(): number;
}

export function createAnonymousCalls(bounds: {
  readonly maxAnonymousCalls: number;
  readonly maxAnonymousCallsPerAddress: number;
}): AnonymousCalls {
  /** An address without a call leaves no entry, so the map is bounded by maxAnonymousCalls. */
  const perAddress = new Map<string, number>();
  let total = 0;
  return {
    enter(address) {
      if (total >= bounds.maxAnonymousCalls) return "all";
      const ofAddress = perAddress.get(address) ?? 0;
      if (ofAddress >= bounds.maxAnonymousCallsPerAddress) return "address";
      total += 1;
      perAddress.set(address, ofAddress + 1);
      let isReleased = false;
      return () => {
        if (isReleased) return;
        isReleased = true;
        total -= 1;
        const left = (perAddress.get(address) ?? 1) - 1;
        if (left === 0) perAddress.delete(address);
        else perAddress.set(address, left);
      };
    },
    count: () => total,
  };
}
