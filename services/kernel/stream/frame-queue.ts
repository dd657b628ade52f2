/**
 * Frames on their way to one reader, in order.
 *
 * Keeps L7: holds at most `capacity` frames; a writer that is ahead waits in `push` until the reader has taken one.
 */
export class FrameQueue<Frame> implements AsyncIterable<Frame> {
  readonly #capacity: number;
  #frames: Frame[] = [];
  #ended: { readonly error: Error | undefined } | undefined;
  #readable = Promise.withResolvers<void>();
  #writable = Promise.withResolvers<void>();

  /** @param capacity Frames that may wait. Default 64. */
  constructor(capacity = 64) {
    this.#capacity = capacity;
  }

  /** Resolves to true when the frame was taken in, to false when the queue has ended. */
  async push(frame: Frame): Promise<boolean> {
    while (this.#frames.length >= this.#capacity && this.#ended === undefined) await this.#writable.promise;
    return this.offer(frame);
  }

  /** Takes the frame in at once, over capacity if need be: only for writers that are bounded by something else. */
  offer(frame: Frame): boolean {
    if (this.#ended !== undefined) return false;
    this.#frames.push(frame);
    this.#readable.resolve();
    return true;
  }

  /** No more frames: the reader gets what is there, then the end, or the error. */
  end(error?: unknown): void {
    if (this.#ended !== undefined) return;
    this.#ended = {
      error: error === undefined || error instanceof Error ? error : new Error("the stream broke", { cause: error }),
    };
    this.#readable.resolve();
    this.#writable.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Frame> {
    try {
      for (;;) {
        const ready = this.#frames;
        if (ready.length > 0) {
          this.#frames = [];
          this.#writable.resolve();
          this.#writable = Promise.withResolvers();
          yield* ready;
        } else if (this.#ended !== undefined) {
          if (this.#ended.error !== undefined) throw this.#ended.error;
          return;
        } else {
          this.#readable = Promise.withResolvers();
          await this.#readable.promise;
        }
      }
    } finally {
      this.end();
      this.#frames = [];
    }
  }
}
