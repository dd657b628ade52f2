/**
 * What a model is shown, folded from a session's log.
 *
 * Keeps S8: what a StepDiscarded names is gone. Runs stand in the order in which they were started, each with the
 * messages that it answers in front, so that a message that waits is never read early.
 */
import { fromBinary, type JsonObject } from "@bufbuild/protobuf";
import type { ContentBlock } from "../../gen/atoll/content/v1/content_block_pb.ts";
import { BlockKind } from "../../gen/atoll/event/v1/block_events_pb.ts";
import { type Event, EventSchema } from "../../gen/atoll/event/v1/event_pb.ts";
import { type ToolCallFinished, ToolOutcome } from "../../gen/atoll/event/v1/tool_events_pb.ts";

/** A block of model output, or a tool call, in the order in which the model made them. */
export type StepItem =
  | {
      readonly kind: "block";
      readonly blockId: string;
      block: "text" | "thinking";
      text: string;
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
    };

export interface Step {
  readonly step: number;
  readonly attempt: number;
  readonly items: StepItem[];
  /** Whether the model call came to its end: its Usage event is there. */
  modelDone: boolean;
  outputTokens: number;
  stopReason: string;
}

export interface ConversationRun {
  readonly runId: string;
  readonly messages: ContentBlock[][];
  readonly steps: Step[];
}

export interface Conversation {
  /** Started runs, oldest first; the last one is the newest. */
  readonly runs: readonly ConversationRun[];
}

export class ConversationFold implements Conversation {
  readonly runs: ConversationRun[] = [];
  readonly #waiting = new Map<string, ConversationRun>();
  readonly #started = new Map<string, ConversationRun>();

  apply(encoded: Uint8Array): void {
    this.applyEvent(fromBinary(EventSchema, encoded));
  }

  applyEvent(event: Event): void {
    const { body } = event;
    switch (body.case) {
      case "messageReceived":
        this.#runOf(body.value.runId).messages.push(body.value.content);
        return;
      case "runStarted":
        this.#start(event.runId);
        return;
      case "stepStarted":
        this.#started.get(event.runId)?.steps.push(newStep(event.step, event.attempt));
        return;
      case "stepDiscarded":
        discardStep(this.#started.get(event.runId)?.steps ?? [], body.value.step, body.value.attempt);
        return;
      case undefined:
        return;
      default: {
        const step = this.#started.get(event.runId)?.steps.at(-1);
        if (step !== undefined) applyToStep(step, body);
      }
    }
  }

  /** The conversation as the loop of a started run sees it and carries on; undefined when the run was not started. */
  workOn(runId: string): WorkingConversation | undefined {
    const index = this.runs.findIndex((run) => run.runId === runId);
    const run = this.runs[index];
    return run === undefined ? undefined : new WorkingConversation(this.runs.slice(0, index), run);
  }

  #runOf(runId: string): ConversationRun {
    const known = this.#started.get(runId) ?? this.#waiting.get(runId);
    if (known !== undefined) return known;
    const run: ConversationRun = { runId, messages: [], steps: [] };
    this.#waiting.set(runId, run);
    return run;
  }

  #start(runId: string): void {
    const run = this.#runOf(runId);
    this.#waiting.delete(runId);
    this.#started.set(runId, run);
    this.runs.push(run);
  }
}

/** A run in work: its steps are its own, so that what the loop does never changes what was folded from the log. */
export class WorkingConversation implements Conversation {
  readonly runs: readonly ConversationRun[];
  readonly run: ConversationRun;

  constructor(earlier: readonly ConversationRun[], run: ConversationRun) {
    const steps = run.steps.map((step) => ({ ...step, items: step.items.map((item) => ({ ...item })) }));
    this.run = { ...run, steps };
    this.runs = [...earlier, this.run];
  }

  beginStep(step: number, attempt: number): Step {
    const begun = newStep(step, attempt);
    this.run.steps.push(begun);
    return begun;
  }

  /** What the step had shown is void (S8). */
  discardStep(step: Step): void {
    discardStep(this.run.steps, step.step, step.attempt);
  }
}

function newStep(step: number, attempt: number): Step {
  return { step, attempt, items: [], modelDone: false, outputTokens: 0, stopReason: "" };
}

function discardStep(steps: Step[], step: number, attempt: number): void {
  const index = steps.findLastIndex((each) => each.step === step && each.attempt === attempt);
  if (index >= 0) steps.splice(index, 1);
}

function applyToStep(step: Step, body: Event["body"]): void {
  switch (body.case) {
    case "textDelta":
    case "thinkingDelta": {
      const { blockId, offset, text } = body.value;
      const item = blockOf(step, blockId, body.case === "textDelta" ? "text" : "thinking");
      item.text = appendAt(item.text, Number(offset), text);
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
    case "toolCallFinished": {
      const { callId } = body.value;
      const call = step.items.find((item) => item.kind === "call" && item.callId === callId);
      if (call?.kind === "call") call.finished = body.value;
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
function appendAt(known: string, offset: number, text: string): string {
  if (Buffer.byteLength(known) === offset) return known + text;
  return Buffer.from(known).subarray(0, offset).toString("utf8") + text;
}

/** Calls of a step that have no outcome yet. */
export function openCalls(step: Step): Extract<StepItem, { kind: "call" }>[] {
  return step.items.filter((item) => item.kind === "call").filter((call) => call.finished === undefined);
}

/** Whether the tool did what it was asked. */
export function succeeded(finished: ToolCallFinished): boolean {
  return finished.outcome === ToolOutcome.SUCCEEDED;
}
