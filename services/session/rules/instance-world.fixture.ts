/**
 * The session instance of a random schedule: its leases on its own clock, and what it decides by them. It gives runs to
 * workers, takes them away from silent ones, and ends what nobody can bring to an end.
 */
import { holdsLease, isExpired, judgeOrphan, type LeaseClock } from "./judge-lease.ts";
import type { StoreWorld } from "./store-world.fixture.ts";
import type { Work, WorldWorker } from "./worker-world.fixture.ts";
import { Broken, type PlantedBug } from "./world-facts.fixture.ts";

interface Lease {
  readonly runId: number;
  readonly epoch: number;
  readonly attempt: number;
  cancelAtMs: number;
  holder: WorldWorker | undefined;
  clock: LeaseClock;
}

const times = { leaseTtlMs: 5_000, reattachGraceMs: 500 };
const cancelGraceMs = 2_000;
const maxAttempts = 4;
/** Runs that a worker has at once. */
export const capacity = 2;

export class InstanceWorld {
  readonly #bug: PlantedBug;
  readonly #store: StoreWorld;
  readonly #workers: readonly WorldWorker[];
  /** Leases that were given once: another instance may still decide by one of them. */
  readonly #given: { readonly runId: number; readonly epoch: number }[] = [];
  #leases = new Map<number, Lease>();
  #nowMs = 0;

  constructor(bug: PlantedBug, store: StoreWorld, workers: readonly WorldWorker[]) {
    this.#bug = bug;
    this.#store = store;
    this.#workers = workers;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  tellHolder(runId: number): void {
    const lease = this.#leases.get(runId);
    if (lease === undefined) return;
    if (this.#store.run(runId).cancelledBy !== "") lease.cancelAtMs = Math.min(lease.cancelAtMs, this.#nowMs);
    if (lease.holder?.isAttached === true) lease.holder.inbox.push({ kind: "commands", runId });
  }

  dispatch(): void {
    for (;;) {
      const worker = this.#free();
      const run = worker && this.#store.claim(this.#nowMs);
      if (worker === undefined || run === undefined) return;
      this.#lend(worker, run);
    }
  }

  #free(): WorldWorker | undefined {
    const held = (worker: WorldWorker): number =>
      [...this.#leases.values()].filter(({ holder }) => holder === worker).length;
    return this.#workers.find((worker) => worker.isAttached && held(worker) < capacity);
  }

  #lend(holder: WorldWorker, { runId, epoch, attempt }: { runId: number; epoch: number; attempt: number }): void {
    const clock = { kind: "held", renewedAtMs: this.#nowMs } as const;
    this.#given.push({ runId, epoch });
    this.#leases.set(runId, { runId, epoch, attempt, holder, clock, cancelAtMs: this.#cancelAtOf(runId) });
    holder.inbox.push({ kind: "offer", runId, epoch }, { kind: "commands", runId });
  }

  /** Decides by a lease that is over: it must have no effect. */
  decideLate(pick: number): void {
    const given = this.#given[pick % Math.max(this.#given.length, 1)];
    if (given === undefined) return;
    const { runId, epoch } = given;
    const run = this.#store.run(runId);
    if (run.state !== "finished" && run.epoch === epoch) return;
    this.#store.seize(runId, epoch);
    if (this.#store.takeOver(runId, epoch, this.#nowMs) !== undefined)
      throw new Broken("R2: a lease that was over took a run");
  }

  #cancelAtOf(runId: number): number {
    return this.#store.run(runId).cancelledBy === "" ? Number.POSITIVE_INFINITY : this.#nowMs;
  }

  /** The run has its terminal event. */
  ended(runId: number): void {
    this.#leases.delete(runId);
  }

  renew(worker: WorldWorker, work: Work): void {
    const lease = this.#leases.get(work.runId);
    if (lease === undefined || !holdsLease(lease, work)) {
      worker.inbox.push({ kind: "lost", runId: work.runId, epoch: work.epoch });
      return;
    }
    lease.holder = worker;
    lease.clock = { kind: "held", renewedAtMs: this.#nowMs };
    worker.inbox.push({ kind: "commands", runId: work.runId });
  }

  /** The stream of a worker broke. */
  detach(worker: WorldWorker): void {
    if (this.#bug === "broken stream not noticed") return;
    for (const lease of this.#leases.values()) {
      if (lease.holder !== worker) continue;
      lease.holder = undefined;
      lease.clock = { kind: "detached", sinceMs: this.#nowMs };
    }
  }

  /** The instance dies. */
  forget(): void {
    this.#leases = new Map();
  }

  /** The next instance begins: its clock stands anywhere. */
  begin(nowMs: number): void {
    this.#nowMs = nowMs;
    if (this.#bug === "running runs forgotten at start") return;
    for (const { runId, epoch, attempt, state } of this.#store.runs) {
      if (state !== "running") continue;
      const clock = { kind: "detached", sinceMs: this.#nowMs } as const;
      this.#leases.set(runId, { runId, epoch, attempt, holder: undefined, clock, cancelAtMs: this.#cancelAtOf(runId) });
    }
  }

  pass(ms: number): void {
    this.#nowMs += ms;
  }

  reap(): void {
    for (const lease of [...this.#leases.values()]) {
      const { runId, epoch, attempt } = lease;
      const isCancelled = this.#store.run(runId).cancelledBy !== "";
      if (isCancelled && this.#nowMs - lease.cancelAtMs >= cancelGraceMs && this.#bug !== "cancel without a grace") {
        this.#store.seize(runId, epoch);
        this.#leases.delete(runId);
        continue;
      }
      if (this.#bug === "silent worker kept" && lease.clock.kind === "held") continue;
      if (!isExpired(lease.clock, this.#nowMs, times)) {
        const cutMs = lease.holder?.isAttached === false ? this.#nowMs - lease.holder.cutAtMs : 0;
        if (cutMs >= times.reattachGraceMs)
          throw new Broken(`R4: run ${runId} is held by one who left ${cutMs} ms ago`);
        continue;
      }
      lease.clock = { kind: "orphaned" };
      lease.holder = undefined;
      if (judgeOrphan({ isCancelled, attempt }, maxAttempts) === "finish") {
        this.#store.seize(runId, epoch);
        this.#leases.delete(runId);
        continue;
      }
      const worker = this.#free();
      const taken = worker && this.#store.takeOver(runId, epoch, this.#nowMs);
      if (worker === undefined || taken === undefined) continue;
      if (taken.runId !== runId) throw new Broken("R4: a taken-over run has another id");
      this.#lend(worker, taken);
    }
  }
}
