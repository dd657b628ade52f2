/**
 * What a model is shown, folded from a session's log.
 *
 * Keeps S8: what a StepDiscarded names is gone. Runs stand in the order in which they were started, each with the
 * messages that it answers in front, so that a message that waits is never read early; what steers a run stands where a
 * model call read it first, as StepStarted says. What retention removed is forgotten, and with it what began there: half
 * a run would make the model answer what it can't see. Keeps L7: it remembers a bounded number of runs, the newest.
 */
import { fromBinary, type JsonObject } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { ContentBlock } from "../../../gen/atoll/content/v1/content_block_pb.ts";
import { BlockKind, type DiscardReason } from "../../../gen/atoll/event/v1/block_events_pb.ts";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import type { HistoryMended } from "../../../gen/atoll/event/v1/model_events_pb.ts";
import type { MessageReceived } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { type ToolCallFinished, ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import type { Mends } from "../models/mend-messages.ts";
import { forgetOldMedia } from "./forget-media.ts";
import { MendedHistory } from "./mended-history.ts";

/** A block of model output, or a tool call, in the order in which the model made them. */
export type StepItem =
  | {
      readonly kind: "block";
      readonly blockId: string;
      block: "text" | "thinking";
      text: string;
      /** Of the text, in UTF-8, while it is folded: counting it anew with each delta costs the square of a long text. */
      bytes?: number;
      completed: boolean;
      signature: Uint8Array;
      redacted: boolean;
    }
  | {
      readonly kind: "call";
      readonly callId: string;
      readonly tool: string;
      readonly arguments: JsonObject;
      /** Undefined until the call has its outcome. */
      finished: ToolCallFinished | undefined;
      /** The log says that the router had let it through. */
      hasStarted?: boolean;
      /** This worker has asked the router for it. */
      wasAsked?: boolean;
    };

/** A message that came while its run was worked on (queue mode STEER). */
export interface SteerMessage {
  readonly messageId: string;
  readonly content: ContentBlock[];
}

export interface Step {
  readonly step: number;
  readonly attempt: number;
  /** What steers the run and was read first by this step's model call; it stands in front of what the model said. */
  readonly read: readonly SteerMessage[];
  readonly items: StepItem[];
  /** Whether the model call came to its end: its Usage event is there. */
  modelDone: boolean;
  outputTokens: number;
  stopReason: string;
}

export interface ConversationRun {
  readonly runId: string;
  /** Where the log speaks of it first, which is its oldest message; 0 outside a log. */
  firstSeq: number;
  /** Milliseconds that workers have worked on it, as far as the log's times tell. */
  workedMs: number;
  /** When its last event was written, in milliseconds since 1970 by the log's times; 0 outside a log. */
  lastAtMs: number;
  readonly messages: ContentBlock[][];
  readonly steps: Step[];
  /** What steers the run and was read by no model call yet. */
  readonly unread: SteerMessage[];
}

export interface Conversation {
  /** Started runs, oldest first; the last one is the newest. */
  readonly runs: readonly ConversationRun[];
}

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

/** As StepDiscarded names it. */
export interface VoidStep {
  readonly step: number;
  readonly attempt: number;
  readonly reason: DiscardReason;
}

/** A run in work: its steps are its own, so that what the loop does never changes what was folded from the log. */
export class WorkingConversation implements Conversation {
  runs: readonly ConversationRun[];
  readonly run: ConversationRun;
  /** Tools that the run was told to be left out. */
  readonly leftOutTools = new Set<string>();
  readonly #voided: VoidStep[] = [];
  readonly #untold: Step[] = [];
  readonly #mended: MendedHistory;

  constructor(earlier: readonly ConversationRun[], run: ConversationRun, mended: MendedHistory) {
    const steps = run.steps.map((step) => ({ ...step, items: step.items.map((item) => ({ ...item })) }));
    this.run = { ...run, steps, unread: [...run.unread] };
    this.runs = [...earlier, this.run];
    this.#mended = mended.copy();
  }

  /** What stands in place of blocks that a model's API refused. */
  get mends(): Mends {
    return this.#mended.mends;
  }

  /** A model's API took the conversation with these changes. */
  mend({ blocks, withoutThinking }: Pick<HistoryMended, "blocks" | "withoutThinking">): void {
    this.#mended.add(blocks);
    if (!withoutThinking) return;
    forgetThinking(this.run);
    // Those that went before are the fold's.
    this.runs = this.runs.map((run) => (run === this.run ? run : withoutReasoning(run)));
  }

  /** Begins a step whose model call reads all that was unread. */
  beginStep(step: number, attempt: number): Step {
    forgetOldMedia(this.runs);
    const begun = newStep(step, attempt, this.run.unread.splice(0));
    this.run.steps.push(begun);
    return begun;
  }

  /** Adds what steers the run, once; says whether it was there already and a step has read it. */
  steer(message: SteerMessage): "unread" | "read" {
    const isIt = ({ messageId }: SteerMessage): boolean => messageId === message.messageId;
    if (this.run.steps.some(({ read }) => read.some(isIt))) return "read";
    if (!this.run.unread.some(isIt)) this.run.unread.push(message);
    return "unread";
  }

  /** What the step had shown is void (S8). The log is told with what takes its place (takeVoided). */
  discardStep({ step, attempt }: Step, reason: DiscardReason): void {
    this.#voided.push({ step, attempt, reason });
    this.#untold.push(...discardStep(this.run, step, attempt));
  }

  /** Gives each step that was discarded once. */
  takeVoided(): readonly VoidStep[] {
    this.#untold.length = 0;
    return this.#voided.splice(0);
  }

  /** Steps that were discarded, and that the log still shows. */
  get untoldSteps(): readonly Step[] {
    return this.#untold;
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

/** Reasoning without a signature is not sent back. */
function forgetThinking({ steps }: ConversationRun): void {
  for (const item of steps.flatMap(({ items }) => items)) if (item.kind === "block") item.signature = new Uint8Array();
}

function withoutReasoning(run: ConversationRun): ConversationRun {
  const copy = {
    ...run,
    steps: run.steps.map((step) => ({ ...step, items: step.items.map((item) => ({ ...item })) })),
  };
  forgetThinking(copy);
  return copy;
}

function timeOf({ time }: Event): number {
  return time === undefined ? 0 : timestampMs(time);
}

function newStep(step: number, attempt: number, read: readonly SteerMessage[]): Step {
  return { step, attempt, read, items: [], modelDone: false, outputTokens: 0, stopReason: "" };
}

/** What the step had read is unread again: whoever makes the step anew reads it anew. */
function discardStep({ steps, unread }: ConversationRun, step: number, attempt: number): Step[] {
  const index = steps.findLastIndex((each) => each.step === step && each.attempt === attempt);
  const discarded = index >= 0 ? steps.splice(index, 1) : [];
  unread.unshift(...discarded.flatMap(({ read }) => read));
  return discarded;
}

function takeUnread(run: ConversationRun, messageIds: readonly string[]): SteerMessage[] {
  const taken = run.unread.filter(({ messageId }) => messageIds.includes(messageId));
  if (taken.length > 0) run.unread.splice(0, run.unread.length, ...run.unread.filter((each) => !taken.includes(each)));
  return taken;
}

function applyToStep(step: Step, body: Event["body"]): void {
  switch (body.case) {
    case "textDelta":
    case "thinkingDelta": {
      const { blockId, offset, text } = body.value;
      const item = blockOf(step, blockId, body.case === "textDelta" ? "text" : "thinking");
      appendAt(item, Number(offset), text);
      return;
    }
    case "blockCompleted": {
      const { blockId, kind, signature, redacted } = body.value;
      const item = blockOf(step, blockId, kind === BlockKind.THINKING ? "thinking" : "text");
      Object.assign(item, { completed: true, signature, redacted });
      return;
    }
    case "toolCallProposed": {
      const { callId, tool } = body.value;
      step.items.push({ kind: "call", callId, tool, arguments: body.value.arguments ?? {}, finished: undefined });
      return;
    }
    case "toolCallStarted": {
      const call = callOf(step, body.value.callId);
      if (call !== undefined) call.hasStarted = true;
      return;
    }
    case "toolCallFinished": {
      const call = callOf(step, body.value.callId);
      if (call !== undefined) call.finished = body.value;
      return;
    }
    case "usage":
      Object.assign(step, {
        modelDone: true,
        outputTokens: Number(body.value.outputTokens),
        stopReason: body.value.stopReason,
      });
      return;
    default:
      return;
  }
}

function callOf(step: Step, callId: string): Extract<StepItem, { kind: "call" }> | undefined {
  return step.items.filter((item) => item.kind === "call").find((item) => item.callId === callId);
}

function blockOf(step: Step, blockId: string, block: "text" | "thinking"): Extract<StepItem, { kind: "block" }> {
  const found = step.items.find((item) => item.kind === "block" && item.blockId === blockId);
  if (found?.kind === "block") return found;
  const item: StepItem = {
    kind: "block",
    blockId,
    block,
    text: "",
    completed: false,
    signature: new Uint8Array(),
    redacted: false,
  };
  step.items.push(item);
  return item;
}

/** S3: truncate to the offset (UTF-8 bytes), then append. Nearly always the offset is the end. */
function appendAt(item: Extract<StepItem, { kind: "block" }>, offset: number, text: string): void {
  const known = item.bytes ?? Buffer.byteLength(item.text);
  const kept = known === offset ? item.text : Buffer.from(item.text).subarray(0, offset).toString("utf8");
  item.bytes = Math.min(known, offset) + Buffer.byteLength(text);
  item.text = kept + text;
}

/** Calls of a step that have no outcome yet. */
export function openCalls(step: Step): Extract<StepItem, { kind: "call" }>[] {
  return step.items.filter((item) => item.kind === "call").filter((call) => call.finished === undefined);
}

/** Whether the tool did what it was asked. */
export function succeeded(finished: ToolCallFinished): boolean {
  return finished.outcome === ToolOutcome.SUCCEEDED;
}
