/**
 * A session instance, its workers and its clients in memory, over StoreWorld: leases on the instance's own clock, streams
 * that break, workers that freeze, die, come back and send again. Which step comes next, and to whom, is the schedule's
 * choice; nothing here waits or draws lots.
 */
import { capacity, InstanceWorld } from "./instance-world.fixture.ts";
import { StoreWorld } from "./store-world.fixture.ts";
import { hear, newWorker, say, type WorldWorker } from "./worker-world.fixture.ts";
import { WorldClients } from "./world-clients.fixture.ts";
import type { Ask, Batch, PlantedBug } from "./world-facts.fixture.ts";

const workerCount = 3;
const restartOp = 29;

export class MeshWorld {
  readonly store: StoreWorld;
  readonly #workers: WorldWorker[] = Array.from({ length: workerCount }, newWorker);
  readonly #clients = new WorldClients();
  readonly #instance: InstanceWorld;
  /** Batches that were sent once: any of them may arrive again. */
  readonly #sent: Batch[] = [];

  constructor(bug: PlantedBug) {
    this.store = new StoreWorld(bug);
    this.#instance = new InstanceWorld(bug, this.store, this.#workers);
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
        this.#send(this.#clients.ask(pick));
        break;
      case 4:
        this.#clients.hold(pick);
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
        this.#instance.dispatch();
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
        this.#instance.pass(100 + pick * 8);
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
        this.#instance.decideLate(pick);
        break;
      case restartOp:
        // Now and then: whatever goes on ends with it.
        if (pick % 4 === 0) this.#restart(pick >> 2);
        break;
      case 30:
        this.#arriveAgain(pick);
        break;
      default:
        this.#instance.reap();
    }
  }

  /**
   * The faults stop: asks are repeated until they are answered, workers come back, and all work comes to its end. Only the
   * last worker, when it is frozen, stays so for ever.
   */
  settle(): void {
    this.store.commit();
    for (const worker of this.#workers.slice(0, -1)) worker.isFrozen = false;
    for (const ask of this.#clients.takeHeld()) this.#send(ask);
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
      this.#instance.pass(1_000);
      this.#instance.reap();
      this.#instance.dispatch();
    }
    this.store.expectWhole();
  }

  #sendAgain(pick: number): void {
    const ask = this.#clients.repeat(pick);
    if (ask !== undefined) this.#send(ask);
  }

  #send(ask: Ask): void {
    for (const runId of this.store.submit(ask)) this.#instance.tellHolder(runId);
  }

  #cancel(pick: number): void {
    const run = this.store.runs[pick % Math.max(this.store.runs.length, 1)];
    if (run !== undefined && this.store.cancel(run.runId)) this.#instance.tellHolder(run.runId);
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
    if (this.store.run(batch.runId).state === "finished" && verdict === "append") this.#instance.ended(batch.runId);
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
    for (const work of worker.work.values()) this.#instance.renew(worker, work);
  }

  #attach(worker: WorldWorker): void {
    if (worker.isAttached || worker.isFrozen) return;
    worker.isAttached = true;
    this.#renew(worker);
    for (const { unacked } of worker.work.values()) worker.outbox.push(...unacked);
  }

  #cut(worker: WorldWorker): void {
    if (worker.isAttached) worker.cutAtMs = this.#instance.nowMs;
    worker.isAttached = false;
    worker.inbox = [];
    worker.outbox = [];
    this.#instance.detach(worker);
  }

  #kill(worker: WorldWorker): void {
    this.#cut(worker);
    worker.work.clear();
    worker.isFrozen = false;
  }

  /** The instance dies: its leases and streams are gone, and the clock of the next one begins anywhere. */
  #restart(pick: number): void {
    this.store.crash();
    this.#instance.forget();
    for (const worker of this.#workers) this.#cut(worker);
    this.#instance.begin(pick * 7);
    for (const worker of this.#workers) worker.cutAtMs = this.#instance.nowMs;
  }
}
