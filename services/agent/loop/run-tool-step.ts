/**
 * The tool calls of a step, a bounded number at a time, in the order in which the model asked.
 *
 * Keeps R5: a run that is told to stop begins no more calls, and ends when those at work have told how they ended. Keeps
 * F3: each call has an outcome then; one that was never asked for never reached its tool, unless an earlier worker asked.
 */
import { create } from "@bufbuild/protobuf";
import { Phase } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { type ToolCall, ToolCallSchema } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { openCalls, type Step, type StepItem } from "../memory/conversation.ts";
import { type CallToolParts, callTool, learnOutcome } from "../tools/call-tool.ts";
import { RunLost } from "./run-ending.ts";
import type { RunParts } from "./run-parts.ts";

/** How long the router may take to say what became of calls that an earlier worker made, when the run is to stop. */
const learnWaitMs = 1_000;

type CallItem = Extract<StepItem, { kind: "call" }>;

export async function runToolStep(parts: RunParts, step: Step): Promise<void> {
  const { writer, agent, signal } = parts;
  writer.beginStep(step.step);
  writer.write({ case: "phaseChanged", value: { phase: Phase.ACT } });
  // L5: what a tool is about to do stands in the log before it does it.
  await writer.durable();
  const waiting = openCalls(step);
  const isResumed = step.attempt !== writer.attempt;
  const partsOf = (item: CallItem, until: AbortSignal): CallToolParts => {
    const { deps, call: options } = parts;
    return { deps, writer, signal: until, options, isResumed, hasStarted: item.hasStarted === true };
  };
  const next = async (): Promise<void> => {
    while (!signal.aborted) {
      const item = waiting.shift();
      if (item === undefined) return;
      item.wasAsked = true;
      item.finished = await callTool(partsOf(item, signal), toCall(parts, step, item));
    }
  };
  // All of them, also when one fails: what is written behind the run's end would be refused, and the call left open.
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(agent.parallelTools, waiting.length) }, next));
  if (signal.aborted && !(signal.reason instanceof RunLost)) {
    const late = new AbortController();
    const timer = parts.deps.clock.setTimer(learnWaitMs, () => late.abort(signal.reason));
    const end = async (item: CallItem): Promise<void> => {
      const finished = await learnOutcome(partsOf(item, late.signal), toCall(parts, step, item));
      item.finished = finished;
      writer.write({ case: "toolCallFinished", value: finished });
    };
    await Promise.all(waiting.splice(0).map(end));
    timer.cancel();
  }
  const failed = lanes.find((lane) => lane.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  signal.throwIfAborted();
}

function toCall({ sessionId, runId, epoch, agent }: RunParts, { step }: Step, item: CallItem): ToolCall {
  const context = { sessionId, runId, epoch: BigInt(epoch), step, agentId: agent.agentId };
  return create(ToolCallSchema, { callId: item.callId, tool: item.tool, argumentsJson: item.argumentsJson, context });
}
