/**
 * What a model is shown, folded from a session's log.
 *
 * Keeps S8: what a StepDiscarded names is gone. Runs stand in the order in which they were started, each with the
 * messages that it answers in front, so that a message that waits is never read early; what steers a run stands where a
 * model call read it first, as StepStarted says. What retention removed is forgotten, and with it what began there: half
 * a run would make the model answer what it can't see. Keeps L7: it remembers a bounded number of runs, the newest.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import type { MessageReceived } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { applyToStep } from "./apply-to-step.ts";
import type { Conversation, ConversationRun } from "./conversation.ts";
import { forgetThinking } from "./forget-thinking.ts";
import { MendedHistory } from "./mended-history.ts";
import { discardStep, newStep, takeUnread } from "./run-steps.ts";
import { WorkingConversation } from "./working-conversation.ts";

/** The most that is counted between two events of a run (RunOptions.max_duration_ms). */
const longestGapMs = 300_000;

export class ConversationFold implements Conversation {
  readonly runs: ConversationRun[] = [];
  readonly #mended = new MendedHistory();
  readonly #waiting = new Map<string, ConversationRun>();
  readonly #started = new Map<string, ConversationRun>();
  readonly #maxRuns: number;
  #isTrimmed = false;

  /** `maxRuns` started runs are remembered, at least one. */
  constructor(maxRuns: number) {
    this.#maxRuns = Math.max(1, maxRuns);
  }

  apply(encoded: Uint8Array): void {
    this.applyEvent(fromBinary(EventSchema, encoded));
  }

  applyEvent(event: Event): void {
    const { body } = event;
    const started = this.#started.get(event.runId);
    if (started !== undefined) passTime(started, event);
    switch (body.case) {
      case "messageReceived":
        this.#receive(body.value, Number(event.seq));
        return;
      case "runQueued":
        this.#queue(event.runId, body.value.messageIds, Number(event.seq));
        return;
      case "runStarted":
        this.#start(event.runId, Number(event.seq), timeOf(event));
        return;
      case "stepStarted":
        started?.steps.push(newStep(event.step, event.attempt, takeUnread(started, body.value.messageIds)));
        return;
      case "stepDiscarded":
        if (started !== undefined) discardStep(started, body.value.step, body.value.attempt);
        return;
      case "runFinished":
        // One that was cancelled while it waited is answered by nobody.
        this.#waiting.delete(event.runId);
        return;
      case "historyTrimmed":
        this.#trim();
        return;
      case "historyMended":
        this.#mended.add(body.value.blocks);
        if (body.value.withoutThinking) for (const run of this.runs) forgetThinking(run);
        return;
      case undefined:
        return;
      default: {
        const step = started?.steps.at(-1);
        if (step !== undefined) applyToStep(step, body);
      }
    }
  }

  /**
   * The conversation as the loop of a started run sees it and carries on; undefined when the run was not started.
   *
   * @param floorSeq Earlier runs that the log begins at or before it are not shown (Session.context_floor_seq). The run
   * itself is shown whole, so that what was asked before a reset is answered.
   */
  workOn(runId: string, floorSeq = 0): WorkingConversation | undefined {
    const index = this.runs.findIndex((run) => run.runId === runId);
    const run = this.runs[index];
    if (run === undefined) return undefined;
    const earlier = this.runs.slice(0, index).filter(({ firstSeq }) => floorSeq === 0 || firstSeq > floorSeq);
    return new WorkingConversation(earlier, run, this.#mended);
  }

  #receive({ runId, messageId, content }: MessageReceived, seq: number): void {
    const started = this.#started.get(runId);
    if (started === undefined) this.#runOf(runId, seq).messages.push(content);
    else started.unread.push({ messageId, content });
  }

  /** What an ended run was steered with and never read is answered by a run of its own. */
  #queue(runId: string, messageIds: readonly string[], seq: number): void {
    const run = this.#runOf(runId, seq);
    for (const ended of this.runs) {
      if (ended.unread.length === 0) continue;
      const taken = takeUnread(ended, messageIds);
      if (taken.length > 0) run.firstSeq = Math.min(run.firstSeq, ended.firstSeq);
      run.messages.push(...taken.map(({ content }) => content));
    }
  }

  #runOf(runId: string, seq: number): ConversationRun {
    const known = this.#started.get(runId) ?? this.#waiting.get(runId);
    if (known !== undefined) return known;
    const run: ConversationRun = {
      runId,
      firstSeq: seq,
      workedMs: 0,
      lastAtMs: 0,
      messages: [],
      steps: [],
      unread: [],
    };
    this.#waiting.set(runId, run);
    return run;
  }

  /** HistoryTrimmed covers everything before it. */
  #trim(): void {
    this.runs.length = 0;
    this.#waiting.clear();
    this.#started.clear();
    this.#isTrimmed = true;
  }

  #start(runId: string, seq: number, atMs: number): void {
    // Its messages are gone.
    if (this.#isTrimmed && !this.#waiting.has(runId)) return;
    const run = this.#runOf(runId, seq);
    run.lastAtMs = atMs;
    this.#waiting.delete(runId);
    this.#started.set(runId, run);
    this.runs.push(run);
    for (const { runId: oldest } of this.runs.splice(0, this.runs.length - this.#maxRuns)) this.#started.delete(oldest);
  }
}

/**
 * Counts what lies between two events of one worker, up to a bound: the clock may have been set between them, and one
 * that is set back gives no time back. Nobody works before a take-up.
 */
function passTime(run: ConversationRun, event: Event): void {
  const atMs = timeOf(event);
  if (event.body.case !== "runResumed") {
    run.workedMs += Math.min(Math.max(0, atMs - run.lastAtMs), longestGapMs);
  }
  run.lastAtMs = atMs;
}

function timeOf({ time }: Event): number {
  return time === undefined ? 0 : timestampMs(time);
}
