/**
 * Runs one listing of a server's tools at a time; requests that come meanwhile make one more, however many they are.
 *
 * Keeps F4: between two listings there is a pause of a second, or ten times what it took to judge the first one, at most
 * 60 s, so that a server that changes its list all the time costs a tenth of the time at most. Keeps L7: a list that ended too early is asked for again
 * after 60 s.
 */
import type { Clock, Timer } from "../../kernel/clock.ts";

const pauseFactor = 10;
const minPauseMs = 1_000;
const maxPauseMs = 60_000;
const laterMs = 60_000;

export class ListingQueue {
  #work: { readonly list: () => Promise<number>; readonly clock: Clock } | undefined;
  #state: "idle" | "listing" | "listing-again" | "stopped" = "idle";
  #isRequested = false;
  #later: Timer | undefined;
  readonly #stop = new AbortController();

  /** From now on requests are served with `list`, which tells how many milliseconds the judging took and never rejects. */
  run(clock: Clock, list: () => Promise<number>): void {
    this.#work = { list, clock };
    if (this.#isRequested) this.request();
  }

  request(): void {
    this.#isRequested = true;
    if (this.#work === undefined || this.#state === "stopped") return;
    if (this.#state === "idle") void this.#serve(this.#work);
    else this.#state = "listing-again";
  }

  /** Requests one in a minute. */
  requestLater(clock: Clock): void {
    if (this.#state === "stopped") return;
    this.#later?.cancel();
    this.#later = clock.setTimer(laterMs, () => this.request());
  }

  stop(): void {
    this.#state = "stopped";
    this.#later?.cancel();
    this.#stop.abort();
  }

  async #serve({ list, clock }: { readonly list: () => Promise<number>; readonly clock: Clock }): Promise<void> {
    do {
      this.#state = "listing";
      const pauseMs = Math.min(maxPauseMs, Math.max(minPauseMs, pauseFactor * (await list())));
      await clock.sleep(pauseMs, this.#stop.signal).catch(() => undefined);
    } while (this.#mustRepeat());
    if (this.#state === "listing") this.#state = "idle";
  }

  #mustRepeat(): boolean {
    return this.#state === "listing-again";
  }
}
