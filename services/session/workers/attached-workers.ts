/** The workers that are attached to this instance, and how many more runs each of them takes. */

import type { RawRunOffer } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import type { WorkerReach } from "../rules/place-run.ts";
import type { LeaseHolder } from "./run-lease.ts";

/** An attached worker. */
export interface AttachedWorker extends LeaseHolder, WorkerReach {
  /** How many more runs it takes now. */
  credits: number;
  /** Whether it works off what it has: nothing more is offered. */
  isDraining: boolean;
  readonly offer: (offer: RawRunOffer) => void;
  /** Asks it to attach elsewhere. */
  readonly leave: (closesInMs: number) => void;
}

/** The most that a worker can have: what its first frame may bring. */
const maxCredits = 10_000;

export class AttachedWorkers {
  readonly #workers = new Set<AttachedWorker>();
  /** Set while the instance drains; resolves when the last worker has left. */
  #allLeft: PromiseWithResolvers<void> | undefined;

  get size(): number {
    return this.#workers.size;
  }

  /** Whether they were asked to leave. */
  get areLeaving(): boolean {
    return this.#allLeft !== undefined;
  }

  has(worker: AttachedWorker): boolean {
    return this.#workers.has(worker);
  }

  add(worker: AttachedWorker): void {
    this.#workers.add(worker);
  }

  remove(worker: AttachedWorker): void {
    this.#workers.delete(worker);
    if (this.#workers.size === 0) this.#allLeft?.resolve();
  }

  /** Asks every worker to attach elsewhere; resolves when they have left. */
  async askToLeave(closesInMs: number): Promise<void> {
    this.#allLeft = Promise.withResolvers();
    for (const worker of this.#workers) worker.leave(closesInMs);
    if (this.#workers.size > 0) await this.#allLeft.promise;
  }

  /** The one with the most credits of those that `accepts` takes; undefined when none of them has any. */
  findWithCredits(accepts: (worker: AttachedWorker) => boolean): AttachedWorker | undefined {
    let best: AttachedWorker | undefined;
    for (const worker of this.#workers) {
      if (!worker.isDraining && worker.credits > (best?.credits ?? 0) && accepts(worker)) best = worker;
    }
    return best;
  }
}

export function addCredits(worker: AttachedWorker, credits: number): void {
  worker.credits = Math.min(worker.credits + credits, maxCredits);
}

/** Takes as many credits as are asked for while the store works, and keeps as many as there are claims. */
export async function spendCredits<Claim>(
  worker: AttachedWorker,
  credits: number,
  claim: () => Promise<readonly Claim[]>,
): Promise<readonly Claim[]> {
  let used = 0;
  worker.credits -= credits;
  try {
    const claimed = await claim();
    used = claimed.length;
    return claimed;
  } finally {
    worker.credits += credits - used;
  }
}
