import type { Clock } from "../clock.ts";

/**
 * Wakes the one who waits for it.
 *
 * Keeps L7: each wait has a promise of its own and lets go of it when it ends. A promise that outlived many waits would
 * gather something of each of them for as long as nobody rings.
 */
export class Bell {
  readonly #clock: Clock;
  #wasRung = false;
  #wake: ((outcome: "rung") => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends the wait. When nobody waits, the next wait ends at once; however often it was rung, that is one wait. */
  ring(): void {
    if (this.#wake === undefined) this.#wasRung = true;
    else this.#wake("rung");
  }

  /** Waits until it is rung, or for `ms`; what was rung since the last wait counts. One wait at a time. */
  async wait(ms: number): Promise<"rung" | "silent"> {
    if (this.#wasRung) {
      this.#wasRung = false;
      return "rung";
    }
    const { promise, resolve } = Promise.withResolvers<"rung" | "silent">();
    const end = (outcome: "rung" | "silent"): void => {
      this.#wake = undefined;
      resolve(outcome);
    };
    const timer = this.#clock.setTimer(ms, () => end("silent"));
    this.#wake = end;
    const outcome = await promise;
    timer.cancel();
    return outcome;
  }
}
