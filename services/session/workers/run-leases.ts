/** The leases of all runs that this instance watches over. Keeps R2: each ends by an end of its run, or as an orphan. */
import type { HeldRun, RunCommand } from "../../../gen/atoll/session/v1/attach_pb.ts";
import { isExpired } from "../rules/judge-lease.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { Commanded } from "../store/changes.ts";
import type { RunRow } from "../store/rows.ts";
import { isHeldBy, type LeaseHolder, mayTakeUp, newLease, type RunLease, tellHolder } from "./run-lease.ts";
import { isTokenDue, maxTokensOfRenewal } from "./run-tokens.ts";

/** What became of the runs that a worker says it holds. */
export interface Renewed {
  readonly lost: readonly HeldRun[];
  /** What its stream must be told. */
  readonly commands: readonly RunCommand[];
  /** Leases whose holder needs the next token of its run. */
  readonly tokensDue: readonly RunLease[];
}

export class RunLeases {
  readonly #deps: SessionDeps;
  readonly #leases = new Map<string, RunLease>();

  constructor(deps: SessionDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#leases.size;
  }

  find(runId: string): RunLease | undefined {
    return this.#leases.get(runId);
  }

  /** The lease of a run that this stream holds under this epoch; undefined for every other. */
  heldBy(holder: LeaseHolder, { runId, epoch }: Pick<HeldRun, "runId" | "epoch">): RunLease | undefined {
    const lease = this.#leases.get(runId);
    return lease !== undefined && isHeldBy(lease, holder, Number(epoch)) ? lease : undefined;
  }

  /** Whether it is still its run's lease. */
  has(lease: RunLease): boolean {
    return this.#leases.get(lease.runId) === lease;
  }

  add(run: RunRow, holder: LeaseHolder | undefined, state: RunLease["state"]): RunLease {
    const lease = newLease(run, holder, state);
    this.#leases.set(run.runId, lease);
    return lease;
  }

  /** Unless the run has another one by now. */
  remove(lease: RunLease): void {
    if (this.has(lease)) this.#leases.delete(lease.runId);
  }

  removeOf(runId: string): void {
    this.#leases.delete(runId);
  }

  /** The stream of the holder broke. */
  detach(holder: LeaseHolder): void {
    const sinceMs = this.#deps.clock.monotonicMs();
    for (const lease of this.#leases.values()) {
      if (lease.holder !== holder) continue;
      lease.holder = undefined;
      if (lease.state.kind === "held") lease.state = { kind: "detached", sinceMs };
    }
  }

  /**
   * Gives a worker's new stream the leases that it still has; says which it has lost, and what it must be told of the others. What
   * is sent on a stream arrives or the stream breaks.
   */
  takeUp(holder: LeaseHolder, held: readonly HeldRun[]): Renewed {
    const commands: RunCommand[] = [];
    for (const run of held) {
      const lease = this.#leases.get(run.runId);
      if (lease === undefined || !mayTakeUp(lease, holder, Number(run.epoch))) continue;
      commands.push(...lease.commands);
      lease.holder = holder;
      lease.workerId = holder.workerId;
    }
    return { ...this.renew(holder, held), commands };
  }

  /** Renews the leases that this stream holds; says which it does not. */
  renew(holder: LeaseHolder, held: readonly HeldRun[]): Omit<Renewed, "commands"> {
    const renewedAtMs = this.#deps.clock.monotonicMs();
    const nowMs = this.#deps.clock.nowMs();
    const lost: HeldRun[] = [];
    const tokensDue: RunLease[] = [];
    for (const run of held) {
      const lease = this.heldBy(holder, run);
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

  /**
   * Tells holders what they must do, at once; returns the leases whose runs are asked to stop by it. A run that has no lease
   * here is claimed in this moment, or held by the holder of another lease: its commands are read from the store when the
   * lease is made.
   */
  command(commanded: readonly Commanded[]): readonly RunLease[] {
    const stopped: RunLease[] = [];
    for (const { run, command } of commanded) {
      const lease = this.#leases.get(run.runId);
      if (lease === undefined || lease.epoch !== run.epoch) continue;
      const wasCancelled = lease.cancel !== undefined;
      tellHolder(lease, [command]);
      if (!wasCancelled && lease.cancel !== undefined) stopped.push(lease);
    }
    return stopped;
  }

  /** As they are at this moment. */
  list(): readonly RunLease[] {
    return [...this.#leases.values()];
  }

  /** Makes orphans of those whose time is up; says whether there are any. */
  reap(): boolean {
    const nowMs = this.#deps.clock.monotonicMs();
    let hasOrphans = false;
    for (const lease of this.#leases.values()) {
      if (lease.state.kind !== "orphaned" && isExpired(lease.state, nowMs, this.#deps.settings)) {
        this.#deps.log.warn({ runId: lease.runId, epoch: lease.epoch, state: lease.state.kind }, "lease ended");
        lease.state = { kind: "orphaned" };
      }
      if (lease.state.kind === "orphaned") hasOrphans = true;
    }
    return hasOrphans;
  }
}
