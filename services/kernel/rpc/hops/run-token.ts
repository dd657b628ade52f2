/**
 * The token of a run that a worker holds, as it is at this moment: it is renewed with the lease, and whoever calls in the
 * run's name takes the one of the moment (hop-interceptor.ts).
 */
import { createContextKey } from "@connectrpc/connect";
import type { Clock } from "../../clock.ts";

/** In whose name a worker calls; undefined for every other call. */
export const runTokenKey = createContextKey<RunToken | undefined>(undefined, { description: "token of the run" });

export class RunToken {
  #token: string;
  #renewed = Promise.withResolvers<void>();

  constructor(token: string) {
    this.#token = token;
  }

  get token(): string {
    return this.#token;
  }

  renew(token: string): void {
    this.#token = token;
    this.#renewed.resolve();
    this.#renewed = Promise.withResolvers();
  }

  /** Waits until there is another one than `used`, at most `waitMs`. Rejects with the signal's reason when it aborts. */
  async another(used: string, clock: Clock, waitMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.#token !== used) return true;
    const late = Promise.withResolvers<void>();
    const timer = clock.setTimer(waitMs, late.resolve);
    signal.addEventListener("abort", () => late.reject(signal.reason), { once: true });
    try {
      signal.throwIfAborted();
      await Promise.race([this.#renewed.promise, late.promise]);
    } finally {
      timer.cancel();
      late.resolve();
    }
    return this.#token !== used;
  }
}
