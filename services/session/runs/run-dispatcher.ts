/**
 * Hands runs to workers and takes them away from lost ones.
 *
 * Keeps R2: every running run has a lease here, and a lease that ends leads to another worker or to a terminal event.
 * Keeps R3: the store gives out a session's next run only when it has no active one. Keeps L4: see run-lease.ts.
 */
import type { RawRunOffer } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import type { HeldRun, RunCommand } from "../../../gen/atoll/session/v1/attach_pb.ts";
import type { Timer } from "../../kernel/clock.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { encodeEvent } from "../../kernel/event/encode-event.ts";
import { isExpired, judgeOrphan } from "../rules/judge-lease.ts";
import { mayRun, runsInReach, type WorkerReach } from "../rules/place-run.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { Claimed, Commanded } from "../store/changes.ts";
import type { RunRow } from "../store/rows.ts";
import { endRunHere } from "./end-run-here.ts";
import { makeOffer } from "./make-offer.ts";
import {
  type ClosedCommands,
  closeCommands,
  isHeldBy,
  type LeaseHolder,
  mayTakeUp,
  newLease,
  type RunLease,
  tellHolder,
} from "./run-lease.ts";
import { isTokenDue, maxTokensOfRenewal } from "./run-tokens.ts";

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

/** What became of the runs that a worker says it holds. */
export interface Renewed {
  readonly lost: readonly HeldRun[];
  /** What its stream must be told. */
  readonly commands: readonly RunCommand[];
  /** Leases whose holder needs the next token of its run. */
  readonly tokensDue: readonly RunLease[];
}

/** Runs that one claim takes at the most, so that several workers share a queue. */
const claimLimit = 8;
/** The most that a worker can have: what its first frame may bring. */
const maxCredits = 10_000;
const reapIntervalMs = 100;
/** From a failure of the store to the next try. */
const retryWaitMs = 1_000;

export class RunDispatcher {
  readonly #deps: SessionDeps;
  readonly #workers = new Set<AttachedWorker>();
  readonly #leases = new Map<string, RunLease>();
  #reaper: Timer | undefined;
  #dispatching: "idle" | "running" | "again" = "idle";
  /** Whether the store may have a run to claim: a claim is a commit, and an empty one costs the next turn its time. */
  #mayWait = true;
  #closed = false;
  /** Set while the instance drains; resolves when the last worker has left. */
  #allLeft: PromiseWithResolvers<void> | undefined;

  constructor(deps: SessionDeps) {
    this.#deps = deps;
  }

  /** Finds the runs whose holder is gone because this instance was. */
  async start(): Promise<void> {
    const sinceMs = this.#deps.clock.monotonicMs();
    for (const run of await this.#deps.store.listRunningRuns()) {
      const lease = this.#addLease(run, undefined, { kind: "detached", sinceMs });
      tellHolder(lease, await this.#deps.store.listCommands(lease));
    }
    this.#armReaper();
  }

  close(): void {
    this.#closed = true;
    this.#reaper?.cancel();
  }

  /** Gives out nothing more and asks every worker to attach elsewhere; resolves when they have left. Runs are kept. */
  async drainInstance(closesInMs: number): Promise<void> {
    this.#allLeft = Promise.withResolvers();
    for (const worker of this.#workers) worker.leave(closesInMs);
    if (this.#workers.size > 0) await this.#allLeft.promise;
  }

  /** Attached workers and the runs that they hold. */
  counts(): { readonly workers: number; readonly held: number } {
    return { workers: this.#workers.size, held: this.#leases.size };
  }

  /** The lease of a run that this stream holds under this epoch; undefined for every other. */
  leaseOf(worker: AttachedWorker, { runId, epoch }: Pick<HeldRun, "runId" | "epoch">): RunLease | undefined {
    const lease = this.#leases.get(runId);
    return lease !== undefined && isHeldBy(lease, worker, Number(epoch)) ? lease : undefined;
  }

  /** Errors: DRAINING while the instance drains. */
  attach(worker: AttachedWorker, held: readonly HeldRun[]): Renewed {
    if (this.#allLeft !== undefined) {
      throw failure(ErrorReason.DRAINING, "this instance drains: attach to another one", {
        retryAfterMs: 100,
      });
    }
    this.#workers.add(worker);
    const renewed = this.#takeUp(worker, held);
    this.runQueued();
    return renewed;
  }

  detach(worker: AttachedWorker): void {
    this.#workers.delete(worker);
    const sinceMs = this.#deps.clock.monotonicMs();
    for (const lease of this.#leases.values()) {
      if (lease.holder !== worker) continue;
      lease.holder = undefined;
      if (lease.state.kind === "held") lease.state = { kind: "detached", sinceMs };
    }
    if (this.#workers.size === 0) this.#allLeft?.resolve();
  }

  addCredits(worker: AttachedWorker, credits: number): void {
    worker.credits = Math.min(worker.credits + credits, maxCredits);
    this.kick();
  }

  /** Offers the worker nothing more; an offer that is on its way comes back as a release. */
  drain(worker: AttachedWorker): void {
    worker.isDraining = true;
  }

  /** Gives a worker's new stream the leases that it still has, and says which it has lost and what it must be told of the others. */
  #takeUp(worker: AttachedWorker, held: readonly HeldRun[]): Renewed {
    const commands: RunCommand[] = [];
    for (const run of held) {
      const lease = this.#leases.get(run.runId);
      if (lease === undefined || !mayTakeUp(lease, worker, Number(run.epoch))) continue;
      commands.push(...lease.commands);
      lease.holder = worker;
      lease.workerId = worker.workerId;
    }
    return { ...this.renew(worker, held), commands };
  }

  /** Renews the leases that this stream holds; says which it has not. */
  renew(worker: AttachedWorker, held: readonly HeldRun[]): Omit<Renewed, "commands"> {
    const renewedAtMs = this.#deps.clock.monotonicMs();
    const nowMs = this.#deps.clock.nowMs();
    const lost: HeldRun[] = [];
    const tokensDue: RunLease[] = [];
    for (const run of held) {
      const lease = this.leaseOf(worker, run);
      if (lease === undefined) {
        lost.push(run);
        continue;
      }
      if (tokensDue.length < maxTokensOfRenewal && isTokenDue(lease, nowMs)) tokensDue.push(lease);
      lease.isOffered = true;
      lease.state = { kind: "held", renewedAtMs };
    }
    return { lost, tokensDue };
  }

  /** A worker gives a run back: it goes to the next one at once. */
  release(worker: AttachedWorker, run: HeldRun): void {
    const lease = this.leaseOf(worker, run);
    if (lease === undefined) return;
    lease.holder = undefined;
    lease.state = { kind: "orphaned" };
    this.kick();
  }

  /** The run has its terminal event. */
  finished(runId: string, freesNext: boolean): void {
    this.#leases.delete(runId);
    if (freesNext) this.runQueued();
  }

  /** A run waits, or may. */
  runQueued(): void {
    this.#mayWait = true;
    this.kick();
  }

  /**
   * Tells holders what they must do, at once. A run that has no lease here is claimed in this moment, or held by the
   * holder of another lease: its commands are read from the store when the lease is made.
   */
  command(commanded: readonly Commanded[]): void {
    for (const { run, command } of commanded) {
      const lease = this.#leases.get(run.runId);
      if (lease === undefined || lease.epoch !== run.epoch) continue;
      const wasCancelled = lease.cancel !== undefined;
      tellHolder(lease, [command]);
      if (!wasCancelled) this.#endAfterGrace(lease);
    }
  }

  /** A batch closed commands of the run. */
  acted(runId: string, closed: ClosedCommands): void {
    const lease = this.#leases.get(runId);
    if (lease !== undefined) closeCommands(lease, closed);
  }

  /** Interrupt asks; after the grace the terminal event of a cancelled run is written here (R5). */
  #endAfterGrace(lease: RunLease): void {
    if (lease.cancel === undefined) return;
    this.#deps.clock.setTimer(this.#deps.settings.cancelGraceMs, () => this.#endCancelled(lease));
  }

  /** Tried until the store takes it: a holder that renews and does not stop would keep the run for ever (R2). */
  #endCancelled(lease: RunLease): void {
    if (this.#closed || this.#leases.get(lease.runId) !== lease) return;
    this.#inBackground(this.#finishHere(lease), () => this.#endCancelled(lease));
  }

  /** Looks for workers that can take the runs that wait. */
  kick(): void {
    if (this.#closed || this.#allLeft !== undefined) return;
    if (this.#dispatching !== "idle") {
      this.#dispatching = "again";
      return;
    }
    this.#dispatching = "running";
    this.#inBackground(this.#dispatchAll());
  }

  async #dispatchAll(): Promise<void> {
    let failed: { readonly error: unknown } | undefined;
    // What can't be given out costs itself alone: everything else is tried before the failure is thrown.
    const attempt = async (work: Promise<void>): Promise<void> => {
      try {
        await work;
      } catch (error) {
        failed = { error };
      }
    };
    do {
      this.#dispatching = "running";
      for (const lease of [...this.#leases.values()]) {
        if (lease.state.kind === "orphaned") await attempt(this.#dispatchOrphan(lease));
      }
      await attempt(this.#dispatchQueued());
    } while (this.#isKickedAgain());
    this.#dispatching = "idle";
    if (failed !== undefined) throw failed.error;
  }

  #isKickedAgain(): boolean {
    return this.#dispatching === "again" && !this.#closed;
  }

  async #dispatchQueued(): Promise<void> {
    if (!this.#mayWait) return;
    this.#mayWait = false;
    const dry = new Set<AttachedWorker>();
    for (;;) {
      const worker = this.#workerWithCredits((candidate) => !dry.has(candidate));
      if (worker === undefined) {
        // What no worker had the capacity to ask for may still be there.
        if (dry.size < this.#workers.size) this.#mayWait = true;
        return;
      }
      const limit = Math.min(worker.credits, claimLimit);
      const reach = runsInReach(worker, this.#deps.settings.agents);
      if (reach === undefined) {
        dry.add(worker);
        continue;
      }
      const claimed = await spend(worker, limit, () =>
        this.#deps.store.claimRuns({
          reach,
          limit,
          events: (run) => [takeUpEvent(run, worker.workerId, "")],
        }),
      );
      await this.#handOverAll(claimed, worker);
      if (claimed.length < limit) dry.add(worker);
    }
  }

  async #dispatchOrphan(lease: RunLease): Promise<void> {
    const isCancelled = lease.cancel !== undefined;
    const verdict = judgeOrphan({ isCancelled, attempt: lease.attempt }, this.#deps.settings.maxAttempts);
    if (verdict === "finish") return this.#finishHere(lease);
    const worker = this.#workerWithCredits((candidate) => mayRun(candidate, lease, this.#deps.settings.agents));
    if (worker === undefined) return;
    const [claim] = await spend(worker, 1, async () => {
      const events = (run: RunRow) => [takeUpEvent(run, worker.workerId, "worker lost")];
      const taken = await this.#deps.store.takeOverRun(lease, events);
      return taken === undefined ? [] : [taken];
    });
    if (this.#leases.get(lease.runId) === lease) this.#leases.delete(lease.runId);
    if (claim === undefined) return;
    this.#deps.log.warn({ runId: lease.runId, epoch: claim.run.epoch, workerId: worker.workerId }, "run taken over");
    await this.#handOverAll([claim], worker);
  }

  #workerWithCredits(accepts: (worker: AttachedWorker) => boolean): AttachedWorker | undefined {
    let best: AttachedWorker | undefined;
    for (const worker of this.#workers) {
      if (!worker.isDraining && worker.credits > (best?.credits ?? 0) && accepts(worker)) best = worker;
    }
    return best;
  }

  #leaseTo(worker: AttachedWorker, run: RunRow): RunLease {
    return this.#addLease(run, worker, { kind: "held", renewedAtMs: this.#deps.clock.monotonicMs() });
  }

  /** A claim that fails costs itself alone. Nothing more is claimed for a while then: the failure is thrown at the end. */
  async #handOverAll(claimed: readonly Claimed[], worker: AttachedWorker): Promise<void> {
    // All leases before the first wait: a command of any moment finds the lease of its run.
    const given = claimed.map((claim) => [claim, this.#leaseTo(worker, claim.run)] as const);
    let failed: { readonly error: unknown } | undefined;
    for (const [claim, lease] of given) {
      try {
        await this.#handOver(claim, worker, lease);
      } catch (error) {
        failed = { error };
        worker.credits += 1;
        // Nobody holds it. It waits as for a worker that may come back, so that no moment of failing reads uses up all
        // of its attempts.
        lease.holder = undefined;
        lease.workerId = "";
        lease.state = { kind: "detached", sinceMs: this.#deps.clock.monotonicMs() };
      }
    }
    if (failed !== undefined) throw failed.error;
  }

  async #handOver({ run, session, appended }: Claimed, worker: AttachedWorker, lease: RunLease): Promise<void> {
    this.#deps.bus.publish(appended);
    // The worker may have gone meanwhile: its lease then ends by itself and another one takes the run up.
    const offer = await makeOffer(this.#deps, { run, session }, lease);
    // Read after the lease is there, so that a command of any moment is either among these or comes to the lease.
    const open = await this.#deps.store.listCommands(run);
    this.command(open.map((command) => ({ run, command })));
    worker.offer(offer);
    lease.isOffered = true;
    for (const command of lease.commands) worker.command(command);
    if (!this.#workers.has(worker)) this.detach(worker);
  }

  #addLease(run: RunRow, holder: AttachedWorker | undefined, state: RunLease["state"]): RunLease {
    const lease = newLease(run, holder, state);
    this.#leases.set(run.runId, lease);
    this.#endAfterGrace(lease);
    return lease;
  }

  async #finishHere(lease: RunLease): Promise<void> {
    await endRunHere(this.#deps, lease);
    if (this.#leases.get(lease.runId) === lease) this.#leases.delete(lease.runId);
    this.runQueued();
  }

  #armReaper(): void {
    if (this.#closed) return;
    this.#reaper = this.#deps.clock.setTimer(reapIntervalMs, () => {
      this.#reap();
      this.#armReaper();
    });
  }

  #reap(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    let orphans = 0;
    for (const lease of this.#leases.values()) {
      if (lease.state.kind !== "orphaned" && isExpired(lease.state, nowMs, this.#deps.settings)) {
        this.#deps.log.warn({ runId: lease.runId, epoch: lease.epoch, state: lease.state.kind }, "lease ended");
        lease.state = { kind: "orphaned" };
      }
      if (lease.state.kind === "orphaned") orphans += 1;
    }
    if (orphans > 0) this.kick();
  }

  /** A failure here is one of the store; `again` looks a moment later at what waits. */
  #inBackground(work: Promise<void>, again = (): void => this.runQueued()): void {
    work.catch((error: unknown) => {
      this.#deps.log.error({ error: String(error) }, "dispatching runs failed");
      if (!this.#closed) this.#deps.clock.setTimer(retryWaitMs, again);
    });
  }
}

/** Takes as many credits as are asked for while the store works, and keeps as many as there are claims. */
async function spend(
  worker: AttachedWorker,
  credits: number,
  claim: () => Promise<readonly Claimed[]>,
): Promise<readonly Claimed[]> {
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

function takeUpEvent(run: RunRow, workerId: string, reason: string): Uint8Array {
  const { runId, attempt, agentId } = run;
  const epoch = BigInt(run.epoch);
  return encodeEvent({
    runId,
    attempt,
    body:
      attempt === 1
        ? { case: "runStarted", value: { workerId, epoch, agentId } }
        : { case: "runResumed", value: { workerId, epoch, attempt, reason } },
  });
}
