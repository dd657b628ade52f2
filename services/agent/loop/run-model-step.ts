/**
 * One model call of a step: what the model says is written as it comes, and folded into the conversation.
 *
 * Keeps S3: a block that was begun is completed before the step's Usage. What a log can't store of an answer is cleaned
 * (counts) or refused to the model as that call's error (arguments).
 */
import { create, type JsonObject } from "@bufbuild/protobuf";
import { MendedBlockSchema } from "../../../gen/atoll/event/v1/model_events_pb.ts";
import { Phase } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { type ToolCallFinished, ToolCallFinishedSchema } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { spellArguments } from "../../kernel/json/read-arguments.ts";
import type { Step } from "../memory/conversation.ts";
import type { WorkingConversation } from "../memory/working-conversation.ts";
import { mendMessages } from "../models/mend-messages.ts";
import type { ModelMessage, ModelPart, ModelRequest, ModelStopReason } from "../models/model.ts";
import { toModelMessages } from "../showing/model-messages.ts";
import { refuseArguments } from "../tools/call-tool.ts";
import type { EventWriter } from "./event-writer.ts";
import type { RunParts } from "./run-parts.ts";
import { splitText } from "./split-text.ts";

export interface ModelStep {
  readonly model: string;
  readonly stopReason: ModelStopReason;
  readonly stopDetail: string;
}

export interface ModelStepOptions {
  /** What the run may still make the model put out, at least 1; the answer goes before the reasoning. */
  readonly tokensLeft: number;
  /** What the step has left of requests that mend what the model's API refuses. */
  readonly mending: ModelRequest["mending"];
  /** Whether the model had nothing to say the first time and is asked once more. */
  readonly isAskedAgain: boolean;
}

const askAgainText = "(Your turn ended without an answer. Please answer now.)";

export async function runModelStep(
  parts: RunParts,
  conversation: WorkingConversation,
  step: number,
  { tokensLeft, mending, isAskedAgain }: ModelStepOptions,
): Promise<ModelStep> {
  const { agent, deps, writer, options } = parts;
  const wanted = options?.model || agent.model;
  const found = deps.models.resolve(wanted);
  if (found === undefined) {
    throw failure(ErrorReason.MODEL_NOT_FOUND, `no such model: ${wanted}: \`atoll doctor\` lists what there is`, {
      metadata: { model: wanted },
    });
  }
  const { name, makerName, model } = found;
  const tools = await parts.tools.read(parts.toolsKey, agent, parts.call, parts.signal);
  parts.steering.bringInto(conversation, writer);
  const begun = conversation.beginStep(step, writer.attempt);
  const shown = mendMessages(toModelMessages(conversation, agent.historyMessages), conversation.mends);
  const messages = isAskedAgain ? [...shown, askAgain] : shown;
  writeVoided(writer, conversation);
  writer.beginStep(step);
  writer.writeSoon({ case: "phaseChanged", value: { phase: Phase.THINK } });
  const messageIds = begun.read.map(({ messageId }) => messageId);
  writer.writeSoon({ case: "stepStarted", value: { model: name, messageIds } });
  parts.steering.readAll(writer);
  const recorder = new PartRecorder(parts, conversation, begun, name);
  const maxOutputTokens = Math.min(agent.maxOutputTokens, tokensLeft);
  const stream = model.stream({
    model: makerName,
    instructions: agent.instructions,
    messages,
    tools,
    maxOutputTokens,
    thinkingTokens: Math.min(options?.thinkingTokens ?? agent.thinkingTokens, tokensLeft - maxOutputTokens),
    signal: parts.signal,
    mending,
    traceId: parts.traceId,
  });
  for await (const part of stream) {
    for (const piece of piecesOf(part)) {
      recorder.record(piece);
      await writer.ready();
    }
  }
  return recorder.finish();
}

const askAgain: ModelMessage = { role: "user", content: [{ type: "text", text: askAgainText }] };

/** A piece of text as large as the wire brings it would be more than may wait to be acknowledged. */
function piecesOf(part: ModelPart): Iterable<ModelPart> {
  if (part.kind !== "text" && part.kind !== "thinking") return [part];
  return splitText(part.text).map((text) => ({ ...part, text }));
}

/** A count that a log can hold. */
function countOf(tokens = 0): number {
  const whole = Math.floor(tokens);
  return Number.isSafeInteger(whole) && whole > 0 ? whole : 0;
}

/**
 * Says which steps are void, in the batch of what takes their place: the messages that they had read are read by it, and
 * there is no moment at which the log knows of nobody who reads them. A run that ends before leaves its last step cut short.
 */
export function writeVoided(writer: EventWriter, conversation: WorkingConversation): void {
  for (const value of conversation.takeVoided()) {
    writer.beginStep(value.step);
    writer.writeSoon({ case: "stepDiscarded", value });
  }
}

class PartRecorder {
  readonly #parts: RunParts;
  readonly #conversation: WorkingConversation;
  readonly #step: Step;
  readonly #model: string;
  readonly #startedAtMs: number;
  #firstPartMs = 0;
  #callId = "";
  #tool = "";
  #modelCallId = "";
  #text = "";
  /** Whether a block of text or reasoning was begun and is not at its end. */
  #openBlock: "text" | "thinking" | undefined;
  #usage: Extract<ModelPart, { kind: "usage" }> | undefined;
  #stop: Extract<ModelPart, { kind: "stop" }> | undefined;
  readonly #refused: ToolCallFinished[] = [];

  constructor(parts: RunParts, conversation: WorkingConversation, step: Step, model: string) {
    this.#parts = parts;
    this.#conversation = conversation;
    this.#step = step;
    this.#model = model;
    this.#startedAtMs = parts.deps.clock.monotonicMs();
  }

  record(part: ModelPart): void {
    const { writer, runId, deps } = this.#parts;
    if (part.kind === "mended" || part.kind === "tool-left-out") {
      this.#tell(part);
      return;
    }
    this.#firstPartMs ||= deps.clock.monotonicMs() - this.#startedAtMs;
    switch (part.kind) {
      case "block-start":
        if (part.block === "tool_use") {
          this.#callId = `${runId}.${writer.attempt}.${this.#step.step}.${part.index}`;
          this.#tool = part.tool;
          this.#modelCallId = part.callId;
        } else {
          this.#closeBlock();
          this.#text = "";
          this.#openBlock = part.block;
          writer.beginBlock(part.index, part.block);
        }
        return;
      case "text":
      case "thinking":
        this.#text += part.text;
        writer.append(part.text);
        return;
      case "block-stop":
        this.#endBlock(part);
        return;
      case "usage":
        this.#usage = part;
        return;
      case "stop":
        this.#stop = part;
        return;
    }
  }

  /** Usage is the mark that the model call came to its end: what stands before it is never made again (R4). */
  finish(): ModelStep {
    const { writer, deps } = this.#parts;
    const stop = this.#stop;
    if (stop !== undefined) this.#closeBlock();
    else {
      throw failure(ErrorReason.MODEL_UNAVAILABLE, "the model's stream ended too early", {
        metadata: { model: this.#model },
      });
    }
    const outputTokens = countOf(this.#usage?.outputTokens);
    // Before Usage: a worker that takes the step up behind it must not find such a call open, and dispatch it.
    for (const finished of this.#refused) writer.write({ case: "toolCallFinished", value: finished });
    writer.write({
      case: "usage",
      value: {
        model: this.#model,
        inputTokens: BigInt(countOf(this.#usage?.inputTokens)),
        outputTokens: BigInt(outputTokens),
        cacheReadTokens: BigInt(countOf(this.#usage?.cacheReadTokens)),
        cacheWriteTokens: BigInt(countOf(this.#usage?.cacheWriteTokens)),
        firstTokenMs: Math.round(this.#firstPartMs),
        durationMs: Math.round(deps.clock.monotonicMs() - this.#startedAtMs),
        stopReason: stop.reason,
      },
    });
    this.#step.modelDone = true;
    this.#step.outputTokens = outputTokens;
    this.#step.stopReason = stop.reason;
    return { model: this.#model, stopReason: stop.reason, stopDetail: stop.detail };
  }

  #endBlock(part: Extract<ModelPart, { kind: "block-stop" }>): void {
    const { writer } = this.#parts;
    if (part.block !== "tool_use") this.#openBlock = undefined;
    switch (part.block) {
      case "text":
        writer.endBlock({ signature: new Uint8Array(), redacted: false });
        this.#addBlock("text", new Uint8Array(), false);
        return;
      case "thinking":
        writer.endBlock({ signature: part.signature, redacted: part.redacted });
        this.#addBlock("thinking", part.signature, part.redacted);
        return;
      case "tool_use":
        this.#propose(part.arguments, part.problem);
        return;
    }
  }

  /** A driver that leaves a block open breaks the port's contract; the log keeps its own. */
  #closeBlock(): void {
    const block = this.#openBlock;
    if (block === undefined) return;
    this.#openBlock = undefined;
    this.#parts.writer.endBlock({ signature: new Uint8Array(), redacted: false });
    this.#addBlock(block, new Uint8Array(), false);
  }

  /** What the call was made without (F2). */
  #tell(part: Extract<ModelPart, { kind: "mended" | "tool-left-out" }>): void {
    const { writer, deps, runId } = this.#parts;
    if (part.kind === "tool-left-out") {
      const { tool, reason } = part;
      if (this.#conversation.leftOutTools.has(tool)) return;
      this.#conversation.leftOutTools.add(tool);
      deps.log.warn({ runId, tool, reason }, "a tool was left out: the model's API refused its definition");
      writer.write({ case: "toolLeftOut", value: { tool, reason } });
      return;
    }
    const { reason, withoutThinking } = part;
    const blocks = part.mends.map((mend) => create(MendedBlockSchema, { ...mend, keepBytes: BigInt(mend.keepBytes) }));
    deps.log.warn(
      { runId, reason, blocks: blocks.length, withoutThinking },
      "the conversation was mended for the model",
    );
    writer.write({ case: "historyMended", value: { reason, blocks, withoutThinking } });
    this.#conversation.mend({ blocks, withoutThinking });
  }

  #addBlock(block: "text" | "thinking", signature: Uint8Array, redacted: boolean): void {
    const blockId = `${this.#step.items.length}`;
    this.#step.items.push({ kind: "block", blockId, block, text: this.#text, completed: true, signature, redacted });
  }

  #propose(given: JsonObject, unreadable: string | undefined): void {
    const spelt = spellArguments(given);
    const problem = unreadable ?? (spelt.kind === "broken" ? `The arguments ${spelt.problem}.` : undefined);
    const argumentsJson = problem === undefined && spelt.kind === "read" ? spelt.text : "{}";
    const callId = this.#callId;
    const tool = this.#tool;
    const finished =
      problem === undefined ? undefined : create(ToolCallFinishedSchema, refuseArguments(callId, problem));
    if (finished !== undefined) this.#refused.push(finished);
    this.#step.items.push({ kind: "call", callId, tool, argumentsJson, finished });
    this.#parts.writer.write({
      case: "toolCallProposed",
      value: { callId, tool, argumentsJson, modelCallId: this.#modelCallId },
    });
  }
}
