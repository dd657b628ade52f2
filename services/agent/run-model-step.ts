/** One model call of a step: what the model says is written as it comes, and folded into the conversation. */
import { create, type JsonObject } from "@bufbuild/protobuf";
import { Phase } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { type ToolCallFinished, ToolCallFinishedSchema } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import { ErrorReason, failure } from "../kernel/errors.ts";
import { refuseArguments } from "./call-tool.ts";
import type { Step, WorkingConversation } from "./conversation.ts";
import type { EventWriter } from "./event-writer.ts";
import { toModelMessages } from "./model-messages.ts";
import type { ModelPart, ModelStopReason } from "./models/model.ts";
import type { RunParts } from "./run-loop.ts";

export interface ModelStep {
  readonly model: string;
  readonly stopReason: ModelStopReason;
  readonly stopDetail: string;
}

/** @param tokensLeft What the run may still make the model put out, at least 1; the answer goes before the reasoning. */
export async function runModelStep(
  parts: RunParts,
  conversation: WorkingConversation,
  step: number,
  tokensLeft: number,
): Promise<ModelStep> {
  const { agent, deps, writer, options } = parts;
  const name = options?.model || agent.model;
  const model = deps.models.resolve(name);
  if (model === undefined) {
    throw failure(ErrorReason.MODEL_NOT_FOUND, `no such model: ${name}: \`atoll doctor\` lists what there is`, {
      metadata: { model: name },
    });
  }
  const tools = await parts.tools.read(parts.toolsKey, agent, parts.call, parts.signal);
  parts.steering.bringInto(conversation, writer);
  const begun = conversation.beginStep(step, writer.attempt);
  const messages = toModelMessages(conversation, agent.historyMessages);
  writeVoided(writer, conversation);
  writer.beginStep(step);
  writer.writeSoon({ case: "phaseChanged", value: { phase: Phase.THINK } });
  const messageIds = begun.read.map(({ messageId }) => messageId);
  writer.writeSoon({ case: "stepStarted", value: { model: name, messageIds } });
  parts.steering.readAll(writer);
  const recorder = new PartRecorder(parts, begun, name);
  const maxOutputTokens = Math.min(agent.maxOutputTokens, tokensLeft);
  const stream = model.stream({
    model: name,
    instructions: agent.instructions,
    messages,
    tools,
    maxOutputTokens,
    thinkingTokens: Math.min(options?.thinkingTokens ?? agent.thinkingTokens, tokensLeft - maxOutputTokens),
    signal: parts.signal,
    traceId: parts.traceId,
  });
  for await (const part of stream) {
    recorder.record(part);
    await writer.ready();
  }
  return recorder.finish();
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
  readonly #step: Step;
  readonly #model: string;
  readonly #startedAtMs: number;
  #firstPartMs = 0;
  #callId = "";
  #tool = "";
  #modelCallId = "";
  #text = "";
  #usage: Extract<ModelPart, { kind: "usage" }> | undefined;
  #stop: Extract<ModelPart, { kind: "stop" }> | undefined;
  readonly #refused: ToolCallFinished[] = [];

  constructor(parts: RunParts, step: Step, model: string) {
    this.#parts = parts;
    this.#step = step;
    this.#model = model;
    this.#startedAtMs = parts.deps.clock.monotonicMs();
  }

  record(part: ModelPart): void {
    const { writer, runId, deps } = this.#parts;
    this.#firstPartMs ||= deps.clock.monotonicMs() - this.#startedAtMs;
    switch (part.kind) {
      case "block-start":
        if (part.block === "tool_use") {
          this.#callId = `${runId}.${writer.attempt}.${this.#step.step}.${part.index}`;
          this.#tool = part.tool;
          this.#modelCallId = part.callId;
        } else {
          this.#text = "";
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
    if (stop === undefined) {
      throw failure(ErrorReason.MODEL_UNAVAILABLE, "the model's stream ended too early", {
        metadata: { model: this.#model },
      });
    }
    // Before Usage: a worker that takes the step up behind it must not find such a call open, and dispatch it.
    for (const finished of this.#refused) writer.write({ case: "toolCallFinished", value: finished });
    writer.write({
      case: "usage",
      value: {
        model: this.#model,
        inputTokens: BigInt(this.#usage?.inputTokens ?? 0),
        outputTokens: BigInt(this.#usage?.outputTokens ?? 0),
        cacheReadTokens: BigInt(this.#usage?.cacheReadTokens ?? 0),
        cacheWriteTokens: BigInt(this.#usage?.cacheWriteTokens ?? 0),
        firstTokenMs: Math.round(this.#firstPartMs),
        durationMs: Math.round(deps.clock.monotonicMs() - this.#startedAtMs),
        stopReason: stop.reason,
      },
    });
    this.#step.modelDone = true;
    this.#step.outputTokens = this.#usage?.outputTokens ?? 0;
    this.#step.stopReason = stop.reason;
    return { model: this.#model, stopReason: stop.reason, stopDetail: stop.detail };
  }

  #endBlock(part: Extract<ModelPart, { kind: "block-stop" }>): void {
    const { writer } = this.#parts;
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

  #addBlock(block: "text" | "thinking", signature: Uint8Array, redacted: boolean): void {
    const blockId = `${this.#step.items.length}`;
    this.#step.items.push({ kind: "block", blockId, block, text: this.#text, completed: true, signature, redacted });
  }

  #propose(args: JsonObject, problem: string | undefined): void {
    const callId = this.#callId;
    const tool = this.#tool;
    const finished =
      problem === undefined ? undefined : create(ToolCallFinishedSchema, refuseArguments(callId, problem));
    if (finished !== undefined) this.#refused.push(finished);
    this.#step.items.push({ kind: "call", callId, tool, arguments: args, finished });
    this.#parts.writer.write({
      case: "toolCallProposed",
      value: { callId, tool, arguments: args, modelCallId: this.#modelCallId },
    });
  }
}
