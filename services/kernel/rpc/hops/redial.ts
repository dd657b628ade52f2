/**
 * How long to wait before a stream to another service is opened again.
 *
 * Keeps S2's promptness: while the other side restarts, the waits stay short, so that streams go on within a second of
 * its return. Keeps L7: the waits grow when it stays away, and full jitter keeps many from coming back in step.
 */
import type { Clock } from "../../clock.ts";

/** Ceilings of the waits, in milliseconds: doubled from the first to the near one, and to the far one after a minute. */
const firstMs = 50;
const nearMs = 500;
const farMs = 5_000;
const nearForMs = 60_000;

export class Redial {
  readonly #clock: Clock;
  readonly #random: () => number;
  #ceilingMs = firstMs;
  #awaySinceMs: number | undefined;

  /** `random` gives 0 to below 1. */
  constructor(clock: Clock, random: () => number = Math.random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** The stream works: the next break is a new one. */
  reached(): void {
    this.#ceilingMs = firstMs;
    this.#awaySinceMs = undefined;
  }

  /** Rejects with the signal's reason as soon as it aborts. */
  async wait(signal: AbortSignal): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    this.#awaySinceMs ??= nowMs;
    const waitMs = this.#random() * this.#ceilingMs;
    this.#ceilingMs = Math.min(this.#ceilingMs * 2, nowMs - this.#awaySinceMs < nearForMs ? nearMs : farMs);
    await this.#clock.sleep(waitMs, signal);
  }
}
