/**
 * A store in memory for random schedules: its decisions and changes are the pure rules of this folder, the same that the
 * drivers ask, and it checks on its own account what must hold. A planted bug makes it ask them wrongly.
 */
import { cancelledRun, endedRun, maySeize, mayTakeOver, seizedRun, takenRun } from "./change-run.ts";
import { judgeBatch } from "./judge-batch.ts";
import { judgeCancel } from "./judge-cancel.ts";
import { judgeRequest } from "./judge-request.ts";
import { judgeSubmit } from "./judge-submit.ts";
import { compareRuns } from "./order-runs.ts";
import { leftOver, openAfter } from "./run-commands.ts";
import {
  type Ask,
  type Batch,
  Broken,
  cancelled,
  completed,
  type PlantedBug,
  type Witness,
  type WorldRun,
} from "./world-facts.fixture.ts";

const failed = 2;
const maxQueuedRuns = 4;
const nothing = new Uint8Array();

export class StoreWorld {
  readonly runs: WorldRun[] = [];
  readonly #bug: PlantedBug;
  readonly #answers = new Map<number, { readonly digest: string; readonly answer: string }>();
  readonly #witnesses: Witness[] = [];
  /** request id → what its sender was told first. */
  readonly #told = new Map<number, Ask & { readonly answer: string }>();
  readonly #accepted: number[] = [];
  #messages = 0;
  #uncommitted: (() => void) | undefined;
  /** Which faults landed. */
  readonly count = { late: 0, resent: 0, followUps: 0 };

  constructor(bug: PlantedBug) {
    this.#bug = bug;
  }

  /** Everything that was answered is there; with its bug the store had answered before. */
  commit(): void {
    this.#uncommitted?.();
    this.#uncommitted = undefined;
  }

  crash(): void {
    this.#uncommitted = undefined;
  }

  run(runId: number): WorldRun {
    const run = this.runs[runId];
    if (run === undefined) throw new Error(`no run ${runId}`);
    return run;
  }

  readOf(runId: number): ReadonlySet<number> {
    return this.#witness(runId).read;
  }

  activeOf(session: number): WorldRun | undefined {
    return this.runs.find((run) => run.session === session && run.state === "running");
  }

  /** Gives the runs whose holders are to be told something. */
  submit(ask: Ask): readonly number[] {
    const stored = this.#bug === "dedupe forgotten" ? undefined : this.#answers.get(ask.requestId);
    const verdict = judgeRequest(stored, this.#bug === "another body answered" ? (stored?.digest ?? "") : ask.digest);
    if (verdict === "replayed" && stored !== undefined) this.#tell(ask, stored.answer);
    if (verdict !== "new") return [];
    return this.#accept(ask);
  }

  #accept(ask: Ask): readonly number[] {
    const active = this.activeOf(ask.session);
    const waiting = this.runs.filter((run) => run.session === ask.session && run.state === "queued");
    const joinable =
      this.#bug === "collected into a running run" && active !== undefined ? [...waiting, active] : waiting;
    const collecting = joinable.findLast((run) => run.collects);
    const entry = judgeSubmit(
      {
        isClosed: false,
        headSeq: 0,
        activeRunId: active === undefined ? "" : `${active.runId}`,
        queuedRuns: joinable.length,
        activeRun: () => active && { isCancelled: active.cancelledBy !== "", openCommands: active.commands.length },
        firstWaiting: () => waiting.toSorted(compareRuns).map(({ runId }) => ({ runId: `${runId}` }))[0],
        collecting: () => collecting && { runId: `${collecting.runId}`, messages: collecting.messageIds.length },
      },
      { mode: ask.mode, ifHeadSeq: undefined, maxQueuedRuns },
    );
    const messageId = this.#messages++;
    const answer = `message ${messageId}`;
    const store = (change: () => void): void => {
      const commit = (): void => {
        this.#answers.set(ask.requestId, { digest: ask.digest, answer });
        change();
      };
      this.#accepted.push(messageId);
      this.#tell(ask, answer);
      if (this.#bug === "answer before commit") this.#uncommitted = commit;
      else commit();
    };
    switch (entry.kind) {
      case "queue": {
        const { session, priority } = ask;
        store(() => this.#queue({ session, priority, messageIds: [messageId], collects: ask.mode === "collect" }));
        if (!entry.interrupts || active === undefined) return [];
        this.#askToStop(active);
        return [active.runId];
      }
      case "steer": {
        if (active === undefined) throw new Broken("a message steers a run that is not there");
        const commandId = active.lastCommandId + 1;
        const command = { commandId, kind: "steer", messageId: `${messageId}`, priority: ask.priority } as const;
        const messageIds = [...active.messageIds, messageId];
        const commands = [...active.commands, command];
        store(() => this.#set({ ...this.run(active.runId), messageIds, commands, lastCommandId: commandId }));
        return [active.runId];
      }
      case "join": {
        const run = this.run(Number(entry.runId));
        const priority = Math.max(run.priority, ask.priority);
        store(() => this.#set({ ...run, priority, messageIds: [...run.messageIds, messageId] }));
        return [];
      }
      default:
        return [];
    }
  }

  #queue(made: Pick<WorldRun, "session" | "priority" | "messageIds" | "collects">): void {
    const runId = this.runs.length;
    this.#witnesses.push({ fence: 0, ends: 0, batches: new Set(), read: new Set() });
    this.runs.push({
      ...made,
      runId,
      arrival: runId,
      state: "queued",
      status: 0,
      failure: nothing,
      epoch: 0,
      attempt: 0,
      batchNo: 0,
      startedAtMs: 0,
      finishedAtMs: 0,
      finishedSeq: 0,
      cancelledBy: "",
      cancelReason: "",
      commands: [],
      lastCommandId: 0,
    });
  }

  /** R1, on the sender's side: whatever it hears first is what it hears for ever. */
  #tell(ask: Ask, answer: string): void {
    const told = this.#told.get(ask.requestId);
    if (told === undefined) this.#told.set(ask.requestId, { ...ask, answer });
    else if (told.digest !== ask.digest)
      throw new Broken(`R1: request ${ask.requestId} got an answer with another body`);
    else if (told.answer !== answer)
      throw new Broken(`R1: request ${ask.requestId} was ${told.answer}, then ${answer}`);
  }

  /** Gives whether its holder is to be told. */
  cancel(runId: number): boolean {
    const run = this.run(runId);
    if (judgeCancel(run) === "finish") {
      this.#end({ ...run, cancelledBy: "somebody" }, cancelled);
      return false;
    }
    return this.#askToStop(run);
  }

  #askToStop(run: WorldRun): boolean {
    if (judgeCancel(run) !== "command") return false;
    const commandId = run.lastCommandId + 1;
    const command = { commandId, kind: "cancel", messageId: "", priority: 0 } as const;
    const asked = cancelledRun(run, "somebody", "");
    this.#set({ ...asked, commands: [...run.commands, command], lastCommandId: commandId });
    return true;
  }

  /** The run that is taken next, of all sessions. */
  claim(nowMs: number): WorldRun | undefined {
    const isFree = (run: WorldRun): boolean =>
      run.state === "queued" && (this.#bug === "two runs at once" || this.activeOf(run.session) === undefined);
    const byRule = (run: WorldRun, other: WorldRun): number =>
      this.#bug === "queue ignores priority"
        ? run.arrival - other.arrival
        : this.#bug === "queue ignores arrival"
          ? other.priority - run.priority || other.arrival - run.arrival
          : compareRuns(run, other);
    const [next] = this.runs.filter(isFree).toSorted(byRule);
    if (next === undefined) return undefined;
    if (this.activeOf(next.session) !== undefined) throw new Broken(`R3: session ${next.session} has two runs at once`);
    for (const run of this.runs) {
      if (run.state !== "queued" || run.session !== next.session) continue;
      const isAhead = run.priority > next.priority || (run.priority === next.priority && run.runId < next.runId);
      if (isAhead) throw new Broken(`R3: run ${run.runId} waits behind run ${next.runId}`);
    }
    return this.#take(next, nowMs);
  }

  takeOver(runId: number, epoch: number, nowMs: number): WorldRun | undefined {
    const run = this.run(runId);
    return mayTakeOver(run, epoch) ? this.#take(run, nowMs) : undefined;
  }

  #take(run: WorldRun, nowMs: number): WorldRun {
    const witness = this.#witness(run.runId);
    const taken = takenRun(run, nowMs);
    witness.fence += 1;
    return this.#set(
      this.#bug === "take-over keeps the epoch" && run.epoch > 0 ? { ...taken, epoch: run.epoch } : taken,
    );
  }

  append(batch: Batch): ReturnType<typeof judgeBatch> {
    const run = this.run(batch.runId);
    const target = {
      state: run.state,
      epoch: this.#bug === "no fence" ? batch.epoch : run.epoch,
      batchNo: this.#bug === "resent batch appended" ? batch.batchNo - 1 : run.batchNo,
    };
    const verdict = judgeBatch(target, batch);
    if (verdict.kind === "fenced") this.count.late += 1;
    if (verdict.kind === "replayed") this.count.resent += 1;
    if (verdict.kind !== "append") return verdict;
    const witness = this.#witness(batch.runId);
    if (batch.epoch !== witness.fence)
      throw new Broken(`L4: epoch ${batch.epoch} wrote after epoch ${witness.fence} began`);
    const key = `${batch.epoch} ${batch.batchNo}`;
    if (witness.batches.has(key)) throw new Broken(`L4: batch ${batch.batchNo} of epoch ${batch.epoch} stands twice`);
    witness.batches.add(key);
    for (const messageId of batch.reads) witness.read.add(messageId);
    const acted = this.#bug === "steer closed before it is read" ? run.lastCommandId : batch.acted;
    const next = this.#set({ ...run, batchNo: batch.batchNo, commands: openAfter(run.commands, acted) });
    if (batch.ends !== 0) this.#end(next, batch.ends);
    return verdict;
  }

  /** The service ends the run over its worker's head. */
  seize(runId: number, epoch: number): void {
    const run = this.run(runId);
    const asKnown = this.#bug === "ended run ends again" ? { state: "running" as const, epoch } : run;
    if (!maySeize(asKnown, epoch)) return;
    this.#witness(runId).fence += 1;
    this.#end(seizedRun(run), run.cancelledBy === "" ? failed : cancelled);
  }

  #end(run: WorldRun, status: number): void {
    const witness = this.#witness(run.runId);
    witness.ends += 1;
    if (witness.ends > 1) throw new Broken(`R2: run ${run.runId} has ${witness.ends} terminal events`);
    const unread = this.#bug === "unread messages forgotten" ? undefined : leftOver(run.commands);
    const messageIds = run.messageIds.filter((id) => unread?.messageIds.includes(`${id}`) !== true);
    this.#set({ ...endedRun(run, { status, failure: nothing }, 1, 0), messageIds, commands: [] });
    if (unread === undefined) return;
    this.count.followUps += 1;
    const { session } = run;
    this.#queue({ session, priority: unread.priority, messageIds: unread.messageIds.map(Number), collects: false });
  }

  /** After the faults have stopped and all work is done. */
  expectWhole(): void {
    for (const run of this.runs) {
      const { ends, read } = this.#witness(run.runId);
      if (run.state !== "finished" || ends !== 1)
        throw new Broken(`R2: run ${run.runId} is ${run.state}, ends ${ends}`);
      const missed = run.messageIds.filter((id) => run.status === completed && !read.has(id));
      if (missed.length > 0) throw new Broken(`run ${run.runId} is completed and never read ${missed.join()}`);
    }
    for (const id of this.#accepted) {
      const answers = this.runs.filter(({ messageIds }) => messageIds.includes(id)).length;
      if (answers !== 1) throw new Broken(`message ${id} was accepted and is answered by ${answers} runs`);
    }
  }

  #set(run: WorldRun): WorldRun {
    this.runs[run.runId] = run;
    return run;
  }

  #witness(runId: number): Witness {
    const witness = this.#witnesses[runId];
    if (witness === undefined) throw new Error(`no run ${runId}`);
    return witness;
  }
}
