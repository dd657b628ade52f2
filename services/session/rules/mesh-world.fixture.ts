/**
 * A session instance, its workers and its clients in memory, over StoreWorld: leases on the instance's own clock, streams
 * that break, workers that freeze, die, come back and send again. Which step comes next, and to whom, is the schedule's
 * choice; nothing here waits or draws lots.
 */
import { holdsLease, isExpired, judgeOrphan, type LeaseClock } from "./judge-lease.ts";
import { type Ask, type Batch, Broken, modes, type PlantedBug, StoreWorld } from "./store-world.fixture.ts";
import { hear, newWorker, say, type Work, type WorldWorker } from "./worker-world.fixture.ts";

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
const capacity = 2;
const sessions = 2;
const workerCount = 3;
const restartOp = 29;

export class MeshWorld {
  readonly store: StoreWorld;
  readonly #bug: PlantedBug;
  readonly #workers: WorldWorker[] = Array.from({ length: workerCount }, newWorker);
  readonly #asks: Ask[] = [];
  readonly #held: Ask[] = [];
  /** Batches that were sent once: any of them may arrive again. */
  readonly #sent: Batch[] = [];
  /** Leases that were given once: another instance may still decide by one of them. */
  readonly #given: { readonly runId: number; readonly epoch: number }[] = [];
  #leases = new Map<number, Lease>();
  #nowMs = 0;

  constructor(bug: PlantedBug) {
    this.#bug = bug;
    this.store = new StoreWorld(bug);
  }

  /** One step of a schedule; `pick` chooses among what is there. */
  step(op: number, pick: number): void {
    const worker = this.#workers[pick % workerCount] ?? newWorker();
    if (op !== restartOp) this.store.commit();
    switch (op) {
      case 0:
      case 1:
      case 2:
      case 3:
        this.#send(this.#ask(pick));
        break;
      case 4:
        // Its sender keeps it for later: it arrives behind what was asked after it.
        this.#held.push(this.#ask(pick));
        break;
      case 5:
      case 6:
        this.#sendAgain(pick);
        break;
      case 7:
        this.#cancel(pick);
        break;
      case 8:
      case 9:
      case 10:
        this.#dispatch();
        break;
      case 11:
      case 12:
      case 13:
      case 14:
        hear(this.store, worker);
        break;
      case 15:
      case 16:
      case 17:
      case 18:
        this.#say(worker, pick >> 2);
        break;
      case 19:
      case 20:
      case 21:
        this.#deliver(worker, 1 + (pick % 3));
        break;
      case 22:
        this.#renew(worker);
        break;
      case 23:
      case 24:
        this.#pass(100 + pick * 8);
        break;
      case 25:
        worker.isFrozen = !worker.isFrozen;
        break;
      case 26:
        if (pick % 2 === 0) this.#cut(worker);
        else this.#kill(worker);
        break;
      case 27:
        this.#attach(worker);
        break;
      case 28:
        this.#decideLate(pick);
        break;
      case restartOp:
        // Now and then: whatever goes on ends with it.
        if (pick % 4 === 0) this.#restart(pick >> 2);
        break;
      case 30:
        this.#arriveAgain(pick);
        break;
      default:
        this.#reap();
    }
  }

  /**
   * The faults stop: asks are repeated until they are answered, workers come back, and all work comes to its end. Only the
   * last worker, when it is frozen, stays so for ever.
   */
  settle(): void {
    this.store.commit();
    for (const worker of this.#workers.slice(0, -1)) worker.isFrozen = false;
    for (const ask of this.#held.splice(0)) this.#send(ask);
    const isDone = (): boolean => this.store.runs.every(({ state }) => state === "finished");
    for (let round = 0; round < 300 && !isDone(); round++) {
      for (const worker of this.#workers) {
        this.#attach(worker);
        this.#renew(worker);
        for (let step = 0; step < 4; step++) {
          hear(this.store, worker);
          for (let each = 0; each < capacity; each++) this.#say(worker, each);
          this.#deliver(worker, 8);
        }
      }
      this.#pass(1_000);
      this.#reap();
      this.#dispatch();
    }
    this.store.expectWhole();
  }

  #ask(pick: number): Ask {
    const requestId = this.#asks.length;
    const mode = modes[(pick >> 3) % modes.length] ?? "followup";
    const ask: Ask = { requestId, digest: "a", session: pick % sessions, mode, priority: 1 + ((pick >> 1) % 3) };
    this.#asks.push(ask);
    return ask;
  }

  #sendAgain(pick: number): void {
    const ask = this.#asks[(pick >> 1) % Math.max(this.#asks.length, 1)];
    if (ask !== undefined) this.#send(pick % 8 === 0 ? { ...ask, digest: "b" } : ask);
  }

  #send(ask: Ask): void {
    for (const runId of this.store.submit(ask)) this.#tellHolder(runId);
  }

  #cancel(pick: number): void {
    const run = this.store.runs[pick % Math.max(this.store.runs.length, 1)];
    if (run !== undefined && this.store.cancel(run.runId)) this.#tellHolder(run.runId);
  }

  #tellHolder(runId: number): void {
    const lease = this.#leases.get(runId);
    if (lease === undefined) return;
    if (this.store.run(runId).cancelledBy !== "") lease.cancelAtMs = Math.min(lease.cancelAtMs, this.#nowMs);
    if (lease.holder?.isAttached === true) lease.holder.inbox.push({ kind: "commands", runId });
  }

  #dispatch(): void {
    for (;;) {
      const worker = this.#free();
      const run = worker && this.store.claim(this.#nowMs);
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
  #decideLate(pick: number): void {
    const given = this.#given[pick % Math.max(this.#given.length, 1)];
    if (given === undefined) return;
    const { runId, epoch } = given;
    const run = this.store.run(runId);
    if (run.state !== "finished" && run.epoch === epoch) return;
    this.store.seize(runId, epoch);
    if (this.store.takeOver(runId, epoch, this.#nowMs) !== undefined)
      throw new Broken("R2: a lease that was over took a run");
  }

  #cancelAtOf(runId: number): number {
    return this.store.run(runId).cancelledBy === "" ? Number.POSITIVE_INFINITY : this.#nowMs;
  }

  #say(worker: WorldWorker, pick: number): void {
    const batch = say(worker, pick);
    if (batch !== undefined) this.#sent.push(batch);
  }

  /** Batches of a frozen worker are on their way, too. */
  #deliver(worker: WorldWorker, count: number): void {
    for (const batch of worker.outbox.splice(0, count)) this.#arrive(batch, worker);
  }

  #arrive(batch: Batch, from: WorldWorker | undefined): void {
    const verdict = this.store.append(batch).kind;
    if (this.store.run(batch.runId).state === "finished" && verdict === "append") this.#leases.delete(batch.runId);
    if (from?.isAttached === true) from.inbox.push({ kind: "answer", batch, verdict });
  }

  #arriveAgain(pick: number): void {
    const batch = this.#sent[pick % Math.max(this.#sent.length, 1)];
    if (batch !== undefined && this.#hasLeft(batch)) this.#arrive(batch, undefined);
  }

  /** A batch can arrive again only behind the first time: what waits in an outbox has not left yet. */
  #hasLeft(batch: Batch): boolean {
    return !this.#workers.some(({ outbox }) => outbox.includes(batch));
  }

  #renew(worker: WorldWorker): void {
    if (worker.isFrozen || !worker.isAttached) return;
    for (const work of worker.work.values()) this.#renewOne(worker, work);
  }

  #renewOne(worker: WorldWorker, work: Work): void {
    const lease = this.#leases.get(work.runId);
    if (lease === undefined || !holdsLease(lease, work)) {
      worker.inbox.push({ kind: "lost", runId: work.runId, epoch: work.epoch });
      return;
    }
    lease.holder = worker;
    lease.clock = { kind: "held", renewedAtMs: this.#nowMs };
    worker.inbox.push({ kind: "commands", runId: work.runId });
  }

  #attach(worker: WorldWorker): void {
    if (worker.isAttached || worker.isFrozen) return;
    worker.isAttached = true;
    this.#renew(worker);
    for (const { unacked } of worker.work.values()) worker.outbox.push(...unacked);
  }

  #cut(worker: WorldWorker): void {
    if (worker.isAttached) worker.cutAtMs = this.#nowMs;
    worker.isAttached = false;
    worker.inbox = [];
    worker.outbox = [];
    if (this.#bug === "broken stream not noticed") return;
    for (const lease of this.#leases.values()) {
      if (lease.holder !== worker) continue;
      lease.holder = undefined;
      lease.clock = { kind: "detached", sinceMs: this.#nowMs };
    }
  }

  #kill(worker: WorldWorker): void {
    this.#cut(worker);
    worker.work.clear();
    worker.isFrozen = false;
  }

  /** The instance dies: its leases and streams are gone, and the clock of the next one begins anywhere. */
  #restart(pick: number): void {
    this.store.crash();
    this.#leases = new Map();
    for (const worker of this.#workers) this.#cut(worker);
    this.#nowMs = pick * 7;
    for (const worker of this.#workers) worker.cutAtMs = this.#nowMs;
    if (this.#bug === "running runs forgotten at start") return;
    for (const { runId, epoch, attempt, state } of this.store.runs) {
      if (state !== "running") continue;
      const clock = { kind: "detached", sinceMs: this.#nowMs } as const;
      this.#leases.set(runId, { runId, epoch, attempt, holder: undefined, clock, cancelAtMs: this.#cancelAtOf(runId) });
    }
  }

  #pass(ms: number): void {
    this.#nowMs += ms;
  }

  #reap(): void {
    for (const lease of [...this.#leases.values()]) {
      const { runId, epoch, attempt } = lease;
      const isCancelled = this.store.run(runId).cancelledBy !== "";
      if (isCancelled && this.#nowMs - lease.cancelAtMs >= cancelGraceMs && this.#bug !== "cancel without a grace") {
        this.store.seize(runId, epoch);
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
        this.store.seize(runId, epoch);
        this.#leases.delete(runId);
        continue;
      }
      const worker = this.#free();
      const taken = worker && this.store.takeOver(runId, epoch, this.#nowMs);
      if (worker === undefined || taken === undefined) continue;
      if (taken.runId !== runId) throw new Broken("R4: a taken-over run has another id");
      this.#lend(worker, taken);
    }
  }
}
