/**
 * A rate as the median of slices of half a second: what a neighbour on the same machine takes for a while is not counted
 * as the program's. Garbage collection and checkpoints come several times a slice and are in each.
 */
import { median } from "../quantiles.ts";

const sliceMs = 500;

export class SliceRates {
  readonly #rates: number[] = [];
  #startedMs = performance.now();
  #done = 0;

  /** To be called as soon as something is done. */
  note(count: number): void {
    this.#done += count;
    const ms = performance.now() - this.#startedMs;
    if (ms < sliceMs) return;
    this.#rates.push((this.#done * 1_000) / ms);
    this.#startedMs += ms;
    this.#done = 0;
  }

  /** Of one second. At least one slice must be over. */
  perSecond(): number {
    return median(this.#rates);
  }
}
