/**
 * Frames on their way to one reader, in order.
 *
 * Keeps L7: holds at most `capacity` frames; a writer that is ahead waits in `push` until the reader has taken what is
 * there. Writers that wait go on in the order in which they came, no more at once than there is room for: waking ten
 * thousand for 64 places would cost more than the frames.
 */
export class FrameQueue<Frame> implements AsyncIterable<Frame> {
  readonly #capacity: number;
  #frames: Frame[] = [];
  #ended: { readonly error: Error | undefined } | undefined;
  #readable = Promise.withResolvers<void>();
  #waiting: (() => void)[] = [];

  /** @param capacity Frames that may wait. Default 64. */
  constructor(capacity = 64) {
    this.#capacity = capacity;
  }

  /** Resolves to true when the frame was taken in, to false when the queue has ended. */
  async push(frame: Frame): Promise<boolean> {
    while (this.#frames.length >= this.#capacity && this.#ended === undefined) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
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
    this.#wake(this.#waiting.length);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Frame> {
    try {
      for (;;) {
        const ready = this.#frames;
        if (ready.length > 0) {
          this.#frames = [];
          this.#wake(this.#capacity);
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

  #wake(count: number): void {
    for (const resolve of this.#waiting.splice(0, count)) resolve();
  }
}
