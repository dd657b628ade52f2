/** What must hold in every log, whoever reads it: S1, R1, R2, R4, S8, L4, T1. */

import type { AppliedEvent } from "../history.ts";
import { Fold } from "./fold.ts";
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
    if (run.queued === 0) report(`R1 run ${run.runId}: never queued`);
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

/** A step that was begun and not discarded. */
interface StepView {
  readonly blocks: Map<string, BlockView>;
  /** Calls that were proposed or started and have no outcome yet. */
  readonly openCalls: Set<string>;
  /** Whether its model call came to its end: what it consumed stands in the log. */
  isModelDone: boolean;
}

class RunView implements RunFacts {
  readonly runId: string;
  readonly sessionId: string;
  ended = 0;
  events = 0;
  takeovers = 0;
  queued = 0;
  #attempt = 0;
  readonly #steps = new Map<number, StepView>();
  /** Calls that have an outcome. */
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
        this.queued += 1;
        if (this.queued > 1) report(`R1 ${at}: queued again`);
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
        // Every fault of a chaos run is one that a run outlives.
        if (event.failed !== undefined) report(`R4 ${at}: the run failed: ${event.failed}`);
        if (event.completed === true) this.#checkWhole(at, report);
        return;
      case "stepStarted":
        if (this.#steps.has(event.step)) report(`R4 ${at}: step ${event.step} began again without being discarded`);
        this.#steps.delete(event.step);
        this.#stepOf(event.step);
        break;
      case "stepDiscarded": {
        const { discarded = event.step } = event;
        const step = this.#steps.get(discarded);
        if (step !== undefined && isFinished(step)) {
          report(`R4 ${at}: step ${discarded} was finished, yet it is discarded`);
        }
        this.#steps.delete(discarded);
        break;
      }
      case "usage":
        this.#stepOf(event.step).isModelDone = true;
        break;
      case "toolCallProposed":
      case "toolCallStarted":
        this.#stepOf(event.step).openCalls.add(event.call ?? "");
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
        this.#stepOf(event.step).openCalls.delete(call);
        break;
      }
    }
    // A worker's event carries the attempt under which it was written.
    if (event.attempt > 0 && event.attempt !== this.#attempt) {
      report(`L4 ${at}: ${event.body} of attempt ${event.attempt} while ${this.#attempt} holds the run`);
    }
  }

  #stepOf(step: number): StepView {
    const known = this.#steps.get(step) ?? { blocks: new Map(), openCalls: new Set(), isModelDone: false };
    this.#steps.set(step, known);
    return known;
  }

  #blockOf({ step, block = "" }: AppliedEvent): BlockView {
    const { blocks } = this.#stepOf(step);
    const known = blocks.get(block) ?? { bytes: 0, isWhole: false };
    blocks.set(block, known);
    return known;
  }

  /** A run that is said to be complete left nothing half said. */
  #checkWhole(at: string, report: (problem: string) => void): void {
    for (const [step, { blocks, openCalls }] of this.#steps) {
      for (const [block, { isWhole }] of blocks) {
        if (!isWhole) report(`S8 ${at}: complete, yet block ${block} of step ${step} was cut short`);
      }
      for (const call of openCalls) report(`T1 ${at}: complete, yet call ${call} of step ${step} has no outcome`);
    }
  }
}

/** A step is one model call with its tool calls; with all of them at their end, it is never made again (R4). */
const isFinished = ({ isModelDone, openCalls }: StepView): boolean => isModelDone && openCalls.size === 0;
