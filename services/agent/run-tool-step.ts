/**
 * The tool calls of a step, a bounded number at a time, in the order in which the model asked.
 *
 * Keeps R5: a run that is told to stop begins no more calls, and ends when those at work have told how they ended.
 */
import { create } from "@bufbuild/protobuf";
import { Phase } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolCallSchema } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { callTool } from "./call-tool.ts";
import { openCalls, type Step } from "./conversation.ts";
import type { RunParts } from "./run-loop.ts";

export async function runToolStep(parts: RunParts, step: Step): Promise<void> {
  const { writer, agent } = parts;
  writer.beginStep(step.step);
  writer.write({ case: "phaseChanged", value: { phase: Phase.ACT } });
  // L5: what a tool is about to do stands in the log before it does it.
  await writer.durable();
  const waiting = openCalls(step);
  const isResumed = step.attempt !== writer.attempt;
  const next = async (): Promise<void> => {
    while (!parts.signal.aborted) {
      const item = waiting.shift();
      if (item === undefined) return;
      const call = create(ToolCallSchema, {
        callId: item.callId,
        tool: item.tool,
        arguments: item.arguments,
        context: {
          sessionId: parts.sessionId,
          runId: parts.runId,
          epoch: BigInt(parts.epoch),
          step: step.step,
          agentId: agent.agentId,
        },
      });
      item.finished = await callTool(
        { deps: parts.deps, writer, signal: parts.signal, options: parts.call, isResumed },
        call,
      );
    }
  };
  // All of them, also when one fails: what is written behind the run's end would be refused, and the call left open.
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(agent.parallelTools, waiting.length) }, next));
  const failed = lanes.find((lane) => lane.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  parts.signal.throwIfAborted();
}
