/**
 * Hands runs to workers and takes them away from lost ones.
 *
 * Keeps R2: every running run has a lease here, and a lease that ends leads to another worker or to a terminal event.
 * Keeps R3: the store gives out a session's next run only when it has no active one. Keeps L4: see run-lease.ts.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { Scope as AuthScope } from "../../gen/atoll/auth/v1/options_pb.ts";
import { RunFailureSchema, RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { type RawRunOffer, RawRunOfferSchema } from "../../gen/atoll/internal/v1/raw_events_pb.ts";
import { type RunCommand, RunCommandSchema } from "../../gen/atoll/session/v1/attach_pb.ts";
import type { Timer } from "../kernel/clock.ts";
import { ErrorReason } from "../kernel/errors.ts";
import { encodeEvent } from "../kernel/event/encode-event.ts";
import type { Claimed, RunRow, SessionRow } from "../kernel/store/session-store.ts";
import { isExpired, type LeaseHolder, type RunLease } from "./run-lease.ts";
import type { SessionDeps } from "./session-deps.ts";
import { toRun, toSession } from "./session-message.ts";

/** An attached worker. */
export interface AttachedWorker extends LeaseHolder {
  /** The agents that it serves; empty for every agent. */
  readonly agentIds: readonly string[];
  /** How many more runs it takes now. */
  credits: number;
  /** Whether it works off what it has: nothing more is offered. */
  isDraining: boolean;
  readonly offer: (offer: RawRunOffer) => void;
}

export interface HeldRunKey {
  readonly runId: string;
  readonly epoch: number;
}

/** Runs that one claim takes at the most, so that several workers share a queue. */
const claimLimit = 8;
/** What an offer carries of the log, so that most turns need no other read of it. */
const recentEvents = 256;
const recentBytes = 65_536;
const reapIntervalMs = 100;

export class RunDispatcher {
  readonly #deps: SessionDeps;
  readonly #workers = new Set<AttachedWorker>();
  readonly #leases = new Map<string, RunLease>();
  #reaper: Timer | undefined;
  #dispatching: "idle" | "running" | "again" = "idle";
  /** Whether the store may have a run to claim: a claim is a commit, and an empty one costs the next turn its time. */
  #mayWait = true;
  #closed = false;

  constructor(deps: SessionDeps) {
    this.#deps = deps;
  }

  /** Finds the runs whose holder is gone because this instance was. */
  async start(): Promise<void> {
    const sinceMs = this.#deps.clock.monotonicMs();
    for (const run of await this.#deps.store.listRunningRuns()) {
      this.#addLease(run, { kind: "detached", sinceMs });
    }
    this.#armReaper();
  }

  close(): void {
    this.#closed = true;
    this.#reaper?.cancel();
  }

  /** Attached workers and the runs that they hold. */
  counts(): { readonly workers: number; readonly held: number } {
    return { workers: this.#workers.size, held: this.#leases.size };
  }

  /** The tenant of a run that has a lease. */
  tenantOf(runId: string): string | undefined {
    return this.#leases.get(runId)?.tenant;
  }

  attach(worker: AttachedWorker, held: readonly HeldRunKey[]): readonly HeldRunKey[] {
    this.#workers.add(worker);
    const { lost } = this.renew(worker, held);
    this.runQueued();
    return lost;
  }

  detach(worker: AttachedWorker): void {
    this.#workers.delete(worker);
    const sinceMs = this.#deps.clock.monotonicMs();
    for (const lease of this.#leases.values()) {
      if (lease.state.kind === "held" && lease.state.holder === worker) lease.state = { kind: "detached", sinceMs };
    }
  }

  addCredits(worker: AttachedWorker, credits: number): void {
    worker.credits += credits;
    this.kick();
  }

  /** Offers the worker nothing more; an offer that is on its way comes back as a release. */
  drain(worker: AttachedWorker): void {
    worker.isDraining = true;
  }

  /** Renews the leases that the worker still has; says which it has lost, and what it must do. */
  renew(
    worker: AttachedWorker,
    held: readonly HeldRunKey[],
  ): { readonly lost: readonly HeldRunKey[]; readonly commands: readonly RunCommand[] } {
    const renewedAtMs = this.#deps.clock.monotonicMs();
    const lost: HeldRunKey[] = [];
    const commands: RunCommand[] = [];
    for (const key of held) {
      const lease = this.#leases.get(key.runId);
      if (lease === undefined || lease.epoch !== key.epoch) {
        lost.push(key);
        continue;
      }
      lease.state = { kind: "held", holder: worker, renewedAtMs };
      commands.push(...lease.commands);
    }
    return { lost, commands };
  }

  /** A worker gives a run back: it goes to the next one at once. */
  release(key: HeldRunKey): void {
    const lease = this.#leases.get(key.runId);
    if (lease === undefined || lease.epoch !== key.epoch) return;
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

  /** Tells the holder to stop; after the grace the terminal event is written here (R5). */
  cancelRequested(run: RunRow): void {
    const lease = this.#leases.get(run.runId);
    if (lease === undefined || lease.epoch !== run.epoch) return;
    if (lease.cancel !== undefined) return;
    lease.cancel = { by: run.cancelledBy, reason: run.cancelReason };
    const command = create(RunCommandSchema, {
      runId: run.runId,
      commandId: BigInt(lease.commands.length + 1),
      command: { case: "cancel", value: { cancelledBy: run.cancelledBy, reason: run.cancelReason } },
    });
    lease.commands.push(command);
    if (lease.state.kind === "held") lease.state.holder.command(command);
    this.#deps.clock.setTimer(this.#deps.settings.cancelGraceMs, () => {
      if (!this.#closed && this.#leases.get(run.runId) === lease) this.#inBackground(this.#finishHere(lease));
    });
  }

  /** Looks for workers that can take the runs that wait. */
  kick(): void {
    if (this.#closed) return;
    if (this.#dispatching !== "idle") {
      this.#dispatching = "again";
      return;
    }
    this.#dispatching = "running";
    this.#inBackground(this.#dispatchAll());
  }

  async #dispatchAll(): Promise<void> {
    try {
      do {
        this.#dispatching = "running";
        await this.#dispatchOrphans();
        await this.#dispatchQueued();
      } while (this.#isKickedAgain());
    } finally {
      this.#dispatching = "idle";
    }
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
      const claimed = await spend(worker, limit, () =>
        this.#deps.store.claimRuns({
          agentIds: worker.agentIds,
          limit,
          events: (run) => [takeUpEvent(run, worker.workerId, "")],
        }),
      );
      for (const claim of claimed) await this.#handOver(claim, worker);
      if (claimed.length < limit) dry.add(worker);
    }
  }

  async #dispatchOrphans(): Promise<void> {
    for (const lease of [...this.#leases.values()]) {
      if (lease.state.kind !== "orphaned") continue;
      if (lease.cancel !== undefined || lease.attempt >= this.#deps.settings.maxAttempts) {
        await this.#finishHere(lease);
        continue;
      }
      const worker = this.#workerWithCredits(
        ({ agentIds }) => agentIds.length === 0 || agentIds.includes(lease.agentId),
      );
      if (worker === undefined) continue;
      const [claim] = await spend(worker, 1, async () => {
        const events = (run: RunRow) => [takeUpEvent(run, worker.workerId, "worker lost")];
        const taken = await this.#deps.store.takeOverRun(lease, events);
        return taken === undefined ? [] : [taken];
      });
      if (this.#leases.get(lease.runId) === lease) this.#leases.delete(lease.runId);
      if (claim === undefined) continue;
      this.#deps.log.warn({ runId: lease.runId, epoch: claim.run.epoch, workerId: worker.workerId }, "run taken over");
      await this.#handOver(claim, worker);
    }
  }

  #workerWithCredits(accepts: (worker: AttachedWorker) => boolean): AttachedWorker | undefined {
    let best: AttachedWorker | undefined;
    for (const worker of this.#workers) {
      if (!worker.isDraining && worker.credits > (best?.credits ?? 0) && accepts(worker)) best = worker;
    }
    return best;
  }

  async #handOver(claim: Claimed, worker: AttachedWorker): Promise<void> {
    const { run, session } = claim;
    this.#addLease(run, { kind: "held", holder: worker, renewedAtMs: this.#deps.clock.monotonicMs() });
    this.#deps.bus.publish(claim.appended);
    const runToken = await this.#deps.tokens.sign("run", {
      tenant: run.tenant,
      name: run.principal,
      scopes: new Set([AuthScope.SESSIONS_READ, AuthScope.TOOLS_READ, AuthScope.TOOLS_CALL]),
      origin: undefined,
      run: { sessionId: run.sessionId, runId: run.runId },
    });
    // The worker may have gone meanwhile: its lease then ends by itself and another one takes the run up.
    const recent = await this.#readRecent(session);
    worker.offer(create(RawRunOfferSchema, { run: toRun(run), session: toSession(session), runToken, recent }));
    if (!this.#workers.has(worker)) this.detach(worker);
  }

  /** The newest events through the head that the offer states. */
  async #readRecent({ tenant, sessionId, headSeq }: SessionRow): Promise<Uint8Array[]> {
    const page = await this.#deps.store.readEvents({ tenant }, sessionId, {
      afterSeq: Math.max(0, headSeq - recentEvents),
      throughSeq: headSeq,
      maxEvents: recentEvents,
      maxBytes: recentBytes,
    });
    if (page.kind !== "page" || page.events.at(-1)?.seq !== headSeq) return [];
    return page.events.map(({ bytes }) => bytes);
  }

  #addLease(run: RunRow, state: RunLease["state"]): void {
    this.#leases.set(run.runId, {
      tenant: run.tenant,
      sessionId: run.sessionId,
      runId: run.runId,
      agentId: run.agentId,
      epoch: run.epoch,
      attempt: run.attempt,
      cancel: run.cancelledBy === "" ? undefined : { by: run.cancelledBy, reason: run.cancelReason },
      commands: [],
      state,
    });
  }

  /** Takes the next epoch and writes the terminal event, so that no worker is needed for a run to end (R2). */
  async #finishHere(lease: RunLease): Promise<void> {
    const { cancel, attempt } = lease;
    const failure = create(RunFailureSchema, {
      reason: ErrorReason.INTERNAL,
      message: `the run was taken up ${attempt} times and no worker brought it to an end: send the message again`,
      retryable: true,
    });
    const status = cancel === undefined ? RunStatus.FAILED : RunStatus.CANCELLED;
    const finished = await this.#deps.store.finishRun(lease, {
      status,
      failure: cancel === undefined ? toBinary(RunFailureSchema, failure) : new Uint8Array(),
      event: (run) =>
        encodeEvent({
          runId: run.runId,
          attempt: run.attempt,
          body: {
            case: "runFinished",
            value: cancel === undefined ? { status, failure } : { status, cancelledBy: cancel.by },
          },
        }),
    });
    if (this.#leases.get(lease.runId) === lease) this.#leases.delete(lease.runId);
    if (finished !== undefined) this.#deps.bus.publish(finished.appended);
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

  /** A failure here is one of the store; what waits is looked at again by the reaper or the next change. */
  #inBackground(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#deps.log.error({ error: String(error) }, "dispatching runs failed");
      if (!this.#closed) this.#deps.clock.setTimer(1_000, () => this.runQueued());
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
