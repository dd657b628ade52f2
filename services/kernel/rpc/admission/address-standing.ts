/**
 * What an address has left to spend, and how long its next connection waits.
 *
 * Keeps F4: an address pays for what nobody proven sends from it, over all its connections, out of one allowance of bytes
 * that fills again with time. Keeps the threats "rapid reset, PING and SETTINGS flood": breaking the protocol or spending
 * more than the allowance is an offence; each makes the address's next connections wait longer, up to a bound, and is
 * forgiven with time. Loopback is no exception.
 */

export interface StandingBounds {
  /** Bytes that an address may spend at once. */
  readonly anonymousBurstBytes: number;
  /** Bytes a second that come back. */
  readonly anonymousBytesPerSecond: number;
  /** The longest wait of a connection, in milliseconds. */
  readonly longestPenaltyMs: number;
}

/** The wait after the first offence; each further one doubles it. */
const firstPenaltyMs = 100;
/** Offences that count; with the longest wait, more of them change nothing. */
const maxOffences = 8;
/** Each offence is forgiven after so long without another one. */
const forgiveMs = 10_000;
/** Between two connections of one address that waited, so that they don't come all at once. */
const penaltyGapMs = 100;
/** Addresses that are remembered; the oldest is forgotten beyond it. Each entry is well under 1 KiB. */
const maxAddresses = 10_000;

interface Standing {
  spentBytes: number;
  filledAtMs: number;
  offences: number;
  lastOffenceMs: number;
  /** When the last connection that waited is let in. */
  lastTurnMs: number;
}

export class AddressStanding {
  readonly #bounds: StandingBounds;
  readonly #nowMs: () => number;
  readonly #addresses = new Map<string, Standing>();

  /** `nowMs` never goes backwards. */
  constructor(bounds: StandingBounds, nowMs: () => number = () => performance.now()) {
    this.#bounds = bounds;
    this.#nowMs = nowMs;
  }

  /** The address spends bytes. False: it has spent more than it had. */
  charge(address: string, bytes: number): boolean {
    const standing = this.#fill(this.#of(address));
    // What is owed has a bound too, so that it is paid off in seconds.
    standing.spentBytes = Math.min(standing.spentBytes + bytes, this.#bounds.anonymousBurstBytes * 2);
    return standing.spentBytes <= this.#bounds.anonymousBurstBytes;
  }

  /** Gives back what was charged for somebody who is proven now. */
  refund(address: string, bytes: number): void {
    const standing = this.#addresses.get(address);
    if (standing !== undefined) standing.spentBytes = Math.max(0, standing.spentBytes - bytes);
  }

  /** Whether the address has spent more than it had. */
  isSpent(address: string): boolean {
    const standing = this.#addresses.get(address);
    return standing !== undefined && this.#fill(standing).spentBytes > this.#bounds.anonymousBurstBytes;
  }

  offend(address: string): void {
    const standing = this.#of(address);
    const nowMs = this.#nowMs();
    standing.offences = Math.min(maxOffences, this.#standingOffences(standing, nowMs) + 1);
    standing.lastOffenceMs = nowMs;
  }

  /** Milliseconds that a connection which arrives now waits before it is served; 0 for an address of good standing. */
  admitInMs(address: string): number {
    const standing = this.#addresses.get(address);
    if (standing === undefined) return 0;
    const nowMs = this.#nowMs();
    const offences = this.#standingOffences(standing, nowMs);
    if (offences === 0) return 0;
    const penaltyMs = Math.min(this.#bounds.longestPenaltyMs, firstPenaltyMs * 2 ** (offences - 1));
    const turnMs = Math.max(standing.lastOffenceMs + penaltyMs, standing.lastTurnMs + penaltyGapMs, nowMs);
    const boundedMs = Math.min(turnMs, nowMs + this.#bounds.longestPenaltyMs * 2);
    standing.lastTurnMs = boundedMs;
    return boundedMs - nowMs;
  }

  #standingOffences({ offences, lastOffenceMs }: Standing, nowMs: number): number {
    return Math.max(0, offences - Math.floor((nowMs - lastOffenceMs) / forgiveMs));
  }

  #fill(standing: Standing): Standing {
    const nowMs = this.#nowMs();
    const back = ((nowMs - standing.filledAtMs) / 1_000) * this.#bounds.anonymousBytesPerSecond;
    standing.spentBytes = Math.max(0, standing.spentBytes - back);
    standing.filledAtMs = nowMs;
    return standing;
  }

  #of(address: string): Standing {
    let standing = this.#addresses.get(address);
    if (standing === undefined) {
      if (this.#addresses.size >= maxAddresses) {
        const oldest = this.#addresses.keys().next();
        if (oldest.done === false) this.#addresses.delete(oldest.value);
      }
      const nowMs = this.#nowMs();
      standing = { spentBytes: 0, filledAtMs: nowMs, offences: 0, lastOffenceMs: nowMs, lastTurnMs: 0 };
      this.#addresses.set(address, standing);
    }
    return standing;
  }
}
