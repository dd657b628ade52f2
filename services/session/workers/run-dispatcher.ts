/**
 * Hands runs to workers and takes them away from lost ones.
 *
 * Keeps R2: every running run has a lease here, and a lease that ends leads to another worker or to a terminal event.
 * Keeps R3: the store gives out a session's next run only when it has no active one. Keeps L4: see run-lease.ts.
 */
import type { HeldRun } from "../../../gen/atoll/session/v1/attach_pb.ts";
import type { Timer } from "../../kernel/clock.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { judgeOrphan } from "../rules/judge-lease.ts";
import { mayRun, runsInReach } from "../rules/place-run.ts";
import { endRunHere } from "../runs/end-run-here.ts";
import { takeUpEvent } from "../runs/take-up-event.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { Claimed, Commanded } from "../store/changes.ts";
import type { RunRow } from "../store/rows.ts";
import { type AttachedWorker, AttachedWorkers, addCredits, spendCredits } from "./attached-workers.ts";
import { makeOffer } from "./make-offer.ts";
import { type ClosedCommands, closeCommands, type RunLease, tellHolder } from "./run-lease.ts";
import { type Renewed, RunLeases } from "./run-leases.ts";

/** Runs that one claim takes at the most, so that several workers share a queue. */
const claimLimit = 8;
const reapIntervalMs = 100;
/** From a failure of the store to the next try. */
const retryWaitMs = 1_000;

export class RunDispatcher {
  readonly #deps: SessionDeps;
  readonly #workers = new AttachedWorkers();
  readonly #leases: RunLeases;
  #reaper: Timer | undefined;
  #dispatching: "idle" | "running" | "again" = "idle";
  /** Whether the store may have a run to claim: a claim is a commit, and an empty one costs the next turn its time. */
  #mayWait = true;
  #closed = false;

  constructor(deps: SessionDeps) {
    this.#deps = deps;
    this.#leases = new RunLeases(deps);
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
  drainInstance(closesInMs: number): Promise<void> {
    return this.#workers.askToLeave(closesInMs);
  }

  /** Attached workers and the runs that they hold. */
  counts(): { readonly workers: number; readonly held: number } {
    return { workers: this.#workers.size, held: this.#leases.size };
  }

  /** The lease of a run that this stream holds under this epoch; undefined for every other. */
  leaseOf(worker: AttachedWorker, held: Pick<HeldRun, "runId" | "epoch">): RunLease | undefined {
    return this.#leases.heldBy(worker, held);
  }

  /** Errors: DRAINING while the instance drains. */
  attach(worker: AttachedWorker, held: readonly HeldRun[]): Renewed {
    if (this.#workers.areLeaving) {
      throw failure(ErrorReason.DRAINING, "this instance drains: attach to another one", {
        retryAfterMs: 100,
      });
    }
    this.#workers.add(worker);
    const renewed = this.#leases.takeUp(worker, held);
    this.runQueued();
    return renewed;
  }

  detach(worker: AttachedWorker): void {
    this.#workers.remove(worker);
    this.#leases.detach(worker);
  }

  addCredits(worker: AttachedWorker, credits: number): void {
    addCredits(worker, credits);
    this.kick();
  }

  /** Offers the worker nothing more; an offer that is on its way comes back as a release. */
  drain(worker: AttachedWorker): void {
    worker.isDraining = true;
  }

  /** Renews the leases that this stream holds; says which it does not. */
  renew(worker: AttachedWorker, held: readonly HeldRun[]): Omit<Renewed, "commands"> {
    return this.#leases.renew(worker, held);
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
    this.#leases.removeOf(runId);
    if (freesNext) this.runQueued();
  }

  /** A run waits, or may. */
  runQueued(): void {
    this.#mayWait = true;
    this.kick();
  }

  /** Tells holders what they must do, at once (see RunLeases.command). */
  command(commanded: readonly Commanded[]): void {
    for (const lease of this.#leases.command(commanded)) this.#endAfterGrace(lease);
  }

  /** A batch closed commands of the run. */
  acted(runId: string, closed: ClosedCommands): void {
    const lease = this.#leases.find(runId);
    if (lease !== undefined) closeCommands(lease, closed);
  }

  /** Interrupt asks; after the grace the terminal event of a cancelled run is written here (R5). */
  #endAfterGrace(lease: RunLease): void {
    if (lease.cancel === undefined) return;
    this.#deps.clock.setTimer(this.#deps.settings.cancelGraceMs, () => this.#endCancelled(lease));
  }

  /** Tried until the store takes it: a holder that renews and does not stop would keep the run for ever (R2). */
  #endCancelled(lease: RunLease): void {
    if (this.#closed || !this.#leases.has(lease)) return;
    this.#inBackground(this.#finishHere(lease), () => this.#endCancelled(lease));
  }

  /** Looks for workers that can take the runs that wait. */
  kick(): void {
    if (this.#closed || this.#workers.areLeaving) return;
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
      for (const lease of this.#leases.list()) {
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
      const worker = this.#workers.findWithCredits((candidate) => !dry.has(candidate));
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
      const claimed = await spendCredits(worker, limit, () =>
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
    const worker = this.#workers.findWithCredits((candidate) => mayRun(candidate, lease, this.#deps.settings.agents));
    if (worker === undefined) return;
    const [claim] = await spendCredits(worker, 1, async () => {
      const events = (run: RunRow) => [takeUpEvent(run, worker.workerId, "worker lost")];
      const taken = await this.#deps.store.takeOverRun(lease, events);
      return taken === undefined ? [] : [taken];
    });
    this.#leases.remove(lease);
    if (claim === undefined) return;
    this.#deps.log.warn({ runId: lease.runId, epoch: claim.run.epoch, workerId: worker.workerId }, "run taken over");
    await this.#handOverAll([claim], worker);
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
    const lease = this.#leases.add(run, holder, state);
    this.#endAfterGrace(lease);
    return lease;
  }

  async #finishHere(lease: RunLease): Promise<void> {
    await endRunHere(this.#deps, lease);
    this.#leases.remove(lease);
    this.runQueued();
  }

  #armReaper(): void {
    if (this.#closed) return;
    this.#reaper = this.#deps.clock.setTimer(reapIntervalMs, () => {
      if (this.#leases.reap()) this.kick();
      this.#armReaper();
    });
  }

  /** A failure here is one of the store; `again` looks a moment later at what waits. */
  #inBackground(work: Promise<void>, again = (): void => this.runQueued()): void {
    work.catch((error: unknown) => {
      this.#deps.log.error({ error: String(error) }, "dispatching runs failed");
      if (!this.#closed) this.#deps.clock.setTimer(retryWaitMs, again);
    });
  }
}
