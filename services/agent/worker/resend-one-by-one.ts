/**
 * Finds the run whose batch makes the session service end a worker's stream, so that it costs itself alone (F1).
 *
 * After a stream that ended because of what was said on it, the runs send again one after the other, each when the one
 * before it has everything acknowledged; a stream that ends so again has told whose batch it was.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import type { RunOutlet } from "./run-outlet.ts";

interface HoldingRun {
  readonly outlet: RunOutlet;
}

export class ResendOneByOne<Run extends HoldingRun> {
  readonly #heldBack = new Set<Run>();
  #isCautious = false;
  #onTrial: Run | undefined;

  /** Whether the run's batches wait until it is its turn. */
  holdsBack(run: Run): boolean {
    return this.#heldBack.has(run);
  }

  /** The stream has ended. Gives the run that ended it, when that is known by now. */
  ended(error: unknown, runs: Iterable<Run>): Run | undefined {
    const guilty = this.#onTrial;
    this.#onTrial = undefined;
    this.#heldBack.clear();
    if (!isRefusedFrame(error)) return undefined;
    if (guilty === undefined) this.#isCautious = [...runs].some(({ outlet }) => outlet.hasUnacked);
    return guilty;
  }

  /** Sends again what was not acknowledged. `isCurrent` says whether the stream is still there. */
  async resend(runs: readonly Run[], isCurrent: () => boolean): Promise<void> {
    if (!this.#isCautious) {
      for (const { outlet } of runs) outlet.resend();
      return;
    }
    for (const run of runs) this.#heldBack.add(run);
    for (const run of runs) {
      this.#onTrial = run;
      this.#heldBack.delete(run);
      run.outlet.resend();
      await run.outlet.settled();
      if (!isCurrent()) return;
    }
    this.#onTrial = undefined;
    this.#isCautious = false;
  }
}

/** Whether the service ended the stream because of what was said on it, not because it was away. */
function isRefusedFrame(error: unknown): boolean {
  return error instanceof ConnectError && [Code.ResourceExhausted, Code.InvalidArgument].includes(error.code);
}
