/**
 * Finds the blocks that make the API refuse a conversation when its words don't name them: leaves out the newest, then
 * more, until it is taken, then fewer of those, as long as requests are left. Most often the newest one is it, and the
 * first try is the answer.
 */
import type { Mend } from "../../model.ts";

/** How many times more blocks are left out each time. */
const growth = 4;

export class BlockProbe {
  readonly #candidates: readonly Mend[];
  /** What is left out in the next request. */
  #tried: readonly Mend[];
  /** The smallest set that was taken. */
  #taken: readonly Mend[] | undefined;
  /** What may still be tried instead of it, in order. */
  #narrower: (readonly Mend[])[] = [];
  #refusedCount = 0;

  /** @param candidates At least one, the likeliest first. */
  constructor(candidates: readonly Mend[]) {
    this.#candidates = candidates;
    this.#tried = candidates.slice(0, 1);
  }

  get tried(): readonly Mend[] {
    return this.#tried;
  }

  /** Says whether there is something else to try. */
  refused(requestsLeft: number): boolean {
    if (this.#taken !== undefined) {
      this.#tried = (requestsLeft > 1 ? this.#narrower.shift() : undefined) ?? this.#taken;
      return true;
    }
    this.#refusedCount = this.#tried.length;
    if (this.#refusedCount === this.#candidates.length) return false;
    // The last request leaves out all that can be.
    const count = requestsLeft <= 1 ? this.#candidates.length : this.#refusedCount * growth;
    this.#tried = this.#candidates.slice(0, count);
    return true;
  }

  /** Says whether fewer blocks should be tried instead of reading this answer. */
  accepted(requestsLeft: number): boolean {
    // The set that was tried last, once more.
    if (this.#tried === this.#taken) return false;
    const isFirst = this.#taken === undefined;
    this.#taken = this.#tried;
    // Those that were left out in vain are innocent, most likely.
    const half = Math.ceil(this.#tried.length / 2);
    this.#narrower =
      isFirst && this.#refusedCount > 0
        ? [this.#tried.slice(this.#refusedCount)]
        : [this.#tried.slice(0, half), this.#tried.slice(half)];
    // Two are kept: one to try, one to ask for what was taken.
    if (this.#tried.length <= 1 || requestsLeft < 2) return false;
    this.#tried = this.#narrower.shift() ?? this.#taken;
    return true;
  }
}
