/**
 * The agent loop: model → tools → model, until the model has answered.
 *
 * Keeps R4: a finished step is never made again, and a step whose model call had ended goes on with its tools. Keeps S8:
 * a step that was cut short is discarded by name before it is made again. Keeps L7: steps, tokens, time and retries are
 * bounded. It writes exactly one RunFinished, unless the run was taken from it.
 */

import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import { DiscardReason } from "../../../gen/atoll/event/v1/block_events_pb.ts";
import { RunFinishedSchema, RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { longestWaitMs } from "../../kernel/clock.ts";
import { openCalls, type Step } from "../memory/conversation.ts";
import type { WorkingConversation } from "../memory/working-conversation.ts";
import { endOf, type RunEnd } from "./end-of-run.ts";
import { endOpenCalls } from "./end-open-calls.ts";
import { modelOf } from "./model-of.ts";
import { BudgetExceeded, limit, tokensOf } from "./run-budget.ts";
import { RunRefused } from "./run-ending.ts";
import { writeVoided } from "./run-model-step.ts";
import type { RunParts, TimedParts } from "./run-parts.ts";
import { runToolStep } from "./run-tool-step.ts";
import { isSilent, refuseBadStop, takeModelStep } from "./take-model-step.ts";

/** Runs to the end and writes RunFinished. Throws RunLost, and only that, when the run belongs to somebody else. */
export async function runLoop(parts: RunParts, conversation: WorkingConversation): Promise<void> {
  // What earlier attempts used is told by the log alone: another machine's clock is never compared with this one's.
  const usedMs = conversation.run.workedMs;
  const beganAtMs = parts.deps.clock.monotonicMs() - usedMs;
  const deadline = new AbortController();
  const expire = (): void => deadline.abort(new BudgetExceeded("time"));
  const maxMs = limit(Number(parts.options?.maxDurationMs ?? 0n), parts.agent.maxDurationMs);
  const leftMs = (): number => beganAtMs + maxMs - parts.deps.clock.monotonicMs();
  const timer = parts.deps.clock.setTimer(Math.min(longestWaitMs, Math.max(0, leftMs())), expire);
  if (leftMs() <= 0) expire();
  const signal = AbortSignal.any([parts.signal, deadline.signal]);
  let steps = 0;
  let end: RunEnd;
  try {
    await takeSteps({ ...parts, signal, leftMs }, conversation, (step) => {
      steps = step;
    });
    // Nothing takes its place: what is complete has nothing half said.
    writeVoided(parts.writer, conversation);
    end = { status: RunStatus.COMPLETED };
  } catch (error) {
    parts.writer.abandonBlock();
    end = endOf(error, parts);
  } finally {
    timer.cancel();
  }
  endOpenCalls(parts.writer, conversation);
  const finish = async (): Promise<void> => {
    parts.writer.beginStep(0);
    const duration = durationOf(parts.deps.clock.monotonicMs() - beganAtMs);
    parts.writer.write({ case: "runFinished", value: create(RunFinishedSchema, { ...end, steps, duration }) });
    await parts.writer.durable();
  };
  try {
    await finish();
  } catch (error) {
    // The end was on its way behind something that is refused: it is told again, with the reason.
    if (!(error instanceof RunRefused)) throw error;
    end = endOf(error, parts);
    await finish();
  }
}

async function takeSteps(
  parts: TimedParts,
  conversation: WorkingConversation,
  onStep: (step: number) => void,
): Promise<void> {
  const { agent, options, writer } = parts;
  const { run } = conversation;
  const maxSteps = limit(options?.maxSteps ?? 0, agent.maxSteps);
  let last = run.steps.at(-1);
  if (last !== undefined && !last.modelDone) {
    conversation.discardStep(last, DiscardReason.TAKEOVER);
    last = run.steps.at(-1);
  } else if (last !== undefined && isSilent(last)) {
    conversation.discardStep(last, DiscardReason.NO_ANSWER);
    last = run.steps.at(-1);
  }
  // A run that was taken up again after its model had given up ends as it would have ended.
  if (last !== undefined)
    refuseBadStop({ ...last, stopDetail: "", model: modelOf(parts).name }, tokensOf(parts, conversation));
  for (;;) {
    if (last !== undefined) {
      onStep(last.step);
      if (openCalls(last).length > 0) await runToolStep(parts, last);
    }
    const step = (last?.step ?? 0) + 1;
    const tokens = tokensOf(parts, conversation);
    const hasBudget = step <= maxSteps && tokens.left > 0;
    const isSteered = parts.steering.bringInto(conversation, writer);
    // What came while the model said its last word is answered here as well; without a budget, by a run of its own.
    if (last !== undefined && isLastWord(last) && !(isSteered && hasBudget)) return;
    parts.signal.throwIfAborted();
    if (step > maxSteps) throw new BudgetExceeded(`steps (${maxSteps})`);
    if (tokens.left <= 0) throw new BudgetExceeded(`output tokens (${tokens.max})`);
    await takeModelStep(parts, conversation, step);
    last = run.steps.at(-1);
  }
}

/** Whether the step needs no answer: the model asked for no tool. */
function isLastWord(step: Step): boolean {
  return step.stopReason !== "pause" && !step.items.some((item) => item.kind === "call");
}

function durationOf(ms: number): Duration {
  const seconds = Math.floor(ms / 1000);
  return create(DurationSchema, { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) });
}
