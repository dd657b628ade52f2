/**
 * Places for what is under way on one stream, taken by its reading loop and given back by whoever is done.
 *
 * Keeps L7: a loop that finds no place free reads no further, and so its peer is held up as well.
 */
export class Places {
  readonly #count: number;
  #taken = 0;
  #isClosed = false;
  #freed = Promise.withResolvers<void>();

  constructor(count: number) {
    this.#count = count;
  }

  /** Takes a place when one is free: then there is nothing to wait for. */
  take(): Promise<void> | undefined {
    if (this.#taken >= this.#count && !this.#isClosed) return this.#takeLater();
    this.#taken += 1;
    return undefined;
  }

  /** Gives a place back. */
  give(): void {
    this.#taken -= 1;
    this.#freed.resolve();
  }

  /** Nobody gives back any more: nobody waits either. */
  close(): void {
    this.#isClosed = true;
    this.#freed.resolve();
  }

  async #takeLater(): Promise<void> {
    this.#freed = Promise.withResolvers();
    await this.#freed.promise;
    this.#taken += 1;
  }
}
