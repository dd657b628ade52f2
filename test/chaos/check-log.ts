/** What must hold in every log, whoever reads it: S1, R2, R4, S8, L4, T1. */
import { Fold } from "./fold.ts";
import type { AppliedEvent } from "./history.ts";
import type { FinalLog } from "./read-logs.ts";

export interface RunFacts {
  readonly runId: string;
  readonly sessionId: string;
  ended: number;
  events: number;
  takeovers: number;
}

/** Says what is wrong through `report`; returns what the log knows of its runs. */
export function checkLog(log: FinalLog, report: (problem: string) => void): Map<string, RunFacts> {
  const runs = new Map<string, RunView>();
  let next = 1;
  for (const event of log.events) {
    if (event.first !== next) report(`S1 ${log.sessionId}: ${next} should follow, ${event.first}..${event.seq} does`);
    next = event.seq + 1;
    // A message belongs to its sender, also when it names the run that will answer it.
    if (event.run === "" || event.body === "messageReceived") continue;
    let run = runs.get(event.run);
    if (run === undefined) {
      run = new RunView(event.run, log.sessionId);
      runs.set(event.run, run);
    }
    run.see(event, report);
  }
  if (next !== log.headSeq + 1) report(`S1 ${log.sessionId}: the log ends at ${next - 1}, its head is ${log.headSeq}`);
  checkSnapshot(log, report);
  for (const run of runs.values()) {
    if (run.ended !== 1) report(`R2 run ${run.runId}: ${run.ended} terminal events`);
  }
  return new Map(runs);
}

/** A snapshot is the log, merged (S5). */
function checkSnapshot({ sessionId, headSeq, events, snapshot }: FinalLog, report: (problem: string) => void): void {
  const [read, told] = [new Fold(), new Fold()];
  for (const event of events) read.apply(event);
  let next = 1;
  for (const event of snapshot) {
    if (event.first !== next) report(`S5 ${sessionId}: ${event.first}..${event.seq} stands where ${next} should`);
    next = event.seq + 1;
    told.apply(event);
  }
  if (next !== headSeq + 1) report(`S5 ${sessionId}: the snapshot ends at ${next - 1}, the head is ${headSeq}`);
  if (read.digest() !== told.digest()) report(`S5 ${sessionId}: the snapshot says something else than the log`);
}

interface BlockView {
  bytes: number;
  isWhole: boolean;
}

class RunView implements RunFacts {
  readonly runId: string;
  readonly sessionId: string;
  ended = 0;
  events = 0;
  takeovers = 0;
  #attempt = 0;
  #queued = 0;
  /** Steps that were begun and not discarded, with their blocks. */
  readonly #steps = new Map<number, Map<string, BlockView>>();
  readonly #calls = new Set<string>();

  constructor(runId: string, sessionId: string) {
    this.runId = runId;
    this.sessionId = sessionId;
  }

  see(event: AppliedEvent, report: (problem: string) => void): void {
    const at = `run ${this.runId} seq ${event.seq}`;
    this.events += event.seq - event.first + 1;
    if (this.ended > 0 && event.body !== "runFinished") report(`R2 ${at}: ${event.body} after the terminal event`);
    switch (event.body) {
      case "runQueued":
        this.#queued += 1;
        if (this.#queued > 1) report(`R1 ${at}: queued again`);
        return;
      case "runStarted":
        if (this.#attempt !== 0) report(`R4 ${at}: started again`);
        this.#attempt = 1;
        return;
      case "runResumed":
        if (event.attempt <= this.#attempt) report(`L4 ${at}: attempt ${event.attempt} after ${this.#attempt}`);
        this.#attempt = event.attempt;
        this.takeovers += 1;
        return;
      case "runFinished":
        this.ended += 1;
        if (event.completed === true) this.#checkWhole(at, report);
        return;
      case "stepStarted":
        if (this.#steps.has(event.step)) report(`R4 ${at}: step ${event.step} began again without being discarded`);
        this.#steps.set(event.step, new Map());
        break;
      case "stepDiscarded":
        this.#steps.delete(event.step);
        break;
      case "blockCompleted": {
        const block = this.#blockOf(event);
        if (block.isWhole) report(`R4 ${at}: block ${event.block} is completed twice`);
        block.isWhole = true;
        break;
      }
      case "textDelta":
      case "thinkingDelta": {
        const block = this.#blockOf(event);
        // Readers may be told a part again, the log says everything once.
        if (event.offset !== block.bytes) report(`S3 ${at}: byte ${event.offset} where ${block.bytes} should follow`);
        block.bytes = (event.offset ?? 0) + Buffer.byteLength(event.text ?? "");
        break;
      }
      case "toolCallFinished": {
        const call = event.call ?? "";
        if (this.#calls.has(call)) report(`T1 ${at}: call ${call} has two outcomes`);
        this.#calls.add(call);
        break;
      }
    }
    // A worker's event carries the attempt under which it was written.
    if (event.attempt > 0 && event.attempt !== this.#attempt) {
      report(`L4 ${at}: ${event.body} of attempt ${event.attempt} while ${this.#attempt} holds the run`);
    }
  }

  #blockOf({ step, block = "" }: AppliedEvent): BlockView {
    const blocks = this.#steps.get(step) ?? new Map<string, BlockView>();
    this.#steps.set(step, blocks);
    const known = blocks.get(block) ?? { bytes: 0, isWhole: false };
    blocks.set(block, known);
    return known;
  }

  /** A run that is said to be complete left nothing half said. */
  #checkWhole(at: string, report: (problem: string) => void): void {
    for (const [step, blocks] of this.#steps) {
      for (const [block, { isWhole }] of blocks) {
        if (!isWhole) report(`S8 ${at}: complete, yet block ${block} of step ${step} was cut short`);
      }
    }
  }
}
