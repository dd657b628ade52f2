/**
 * The agent loop: model → tools → model, until the model has answered.
 *
 * Keeps R4: a finished step is never made again, and a step whose model call had ended goes on with its tools. Keeps S8:
 * a step that was cut short is discarded by name before it is made again. Keeps L7: steps, tokens, time and retries are
 * bounded, and a wait for the model is told (ModelWaiting). It writes exactly one RunFinished, unless the run was taken
 * from it.
 */
import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { DiscardReason } from "../../../gen/atoll/event/v1/block_events_pb.ts";
import {
  RunFailureSchema,
  type RunFinished,
  RunFinishedSchema,
  RunStatus,
} from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { longestWaitMs } from "../../kernel/clock.ts";
import { ErrorReason, failure, failureFacts } from "../../kernel/errors.ts";
import { cutText } from "../../kernel/visible-text.ts";
import { openCalls, type Step } from "../memory/conversation.ts";
import type { WorkingConversation } from "../memory/working-conversation.ts";
import { mostMendings } from "../models/model.ts";
import { endOpenCalls } from "./end-open-calls.ts";
import { RunCancelled, RunLost, RunRefused } from "./run-ending.ts";
import { runModelStep, writeVoided } from "./run-model-step.ts";
import type { RunParts } from "./run-parts.ts";
import { runToolStep } from "./run-tool-step.ts";
import { waitBeforeRetry } from "./step-retries.ts";

/** Of a run that has its clock running. */
interface TimedParts extends RunParts {
  /** What is left of the run's time, in milliseconds. */
  readonly leftMs: () => number;
}

const longestWaitReason = 1_024;

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
  let end: Pick<RunFinished, "status"> & Partial<Omit<RunFinished, "$typeName">>;
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

class BudgetExceeded extends Error {
  override readonly name = "BudgetExceeded";
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
    await modelStep(parts, conversation, step);
    last = run.steps.at(-1);
  }
}

/** The output tokens of the whole run; Infinity without a bound. */
interface TokenBudget {
  readonly max: number;
  readonly left: number;
}

function tokensOf({ options }: RunParts, { run }: WorkingConversation): TokenBudget {
  const max = Number(options?.maxOutputTokens ?? 0n) || Number.POSITIVE_INFINITY;
  return { max, left: run.steps.reduce((left, { outputTokens }) => left - outputTokens, max) };
}

/** Whether the step needs no answer: the model asked for no tool. */
function isLastWord(step: Step): boolean {
  return step.stopReason !== "pause" && !step.items.some((item) => item.kind === "call");
}

/** Whether the model ended its turn and neither said anything nor asked for a tool. */
function isSilent({ stopReason, items }: Step): boolean {
  if (stopReason !== "end" && stopReason !== "tool_use") return false;
  return !items.some((item) => item.kind === "call" || (item.block === "text" && item.text.trim() !== ""));
}

/** Takes the step, again when its model call failed in a way that may pass, and once more when the model said nothing. */
async function modelStep(parts: TimedParts, conversation: WorkingConversation, step: number): Promise<void> {
  const mending = { left: mostMendings };
  let isAskedAgain = false;
  for (let retries = 0; ; ) {
    let begun: Step | undefined;
    try {
      const { left: tokensLeft } = tokensOf(parts, conversation);
      const outcome = await runModelStep(parts, conversation, step, { tokensLeft, mending, isAskedAgain });
      refuseBadStop(outcome, tokensOf(parts, conversation));
      begun = conversation.run.steps.at(-1);
      if (begun === undefined || !isSilent(begun)) return;
      if (isAskedAgain) throw noAnswer(outcome.model);
    } catch (error) {
      begun = conversation.run.steps.at(-1);
      if (parts.signal.aborted || begun === undefined || begun.step !== step) throw error;
      await waitForModel(parts, begun, { error, retries });
      retries += 1;
      conversation.discardStep(begun, DiscardReason.MODEL_RETRY);
      continue;
    }
    isAskedAgain = true;
    conversation.discardStep(begun, DiscardReason.NO_ANSWER);
    parts.deps.log.warn({ runId: parts.runId, step }, "the model said nothing; it is asked once more");
  }
}

function noAnswer(model: string): ConnectError {
  const message =
    "the model gave no answer, also when it was asked once more: send the message again, or put it differently";
  return failure(ErrorReason.MODEL_GAVE_NO_ANSWER, message, { metadata: { model } });
}

/** Waits as the step's budget allows, and says so in the log. Throws what the run ends with when it does not allow it. */
async function waitForModel(
  parts: TimedParts,
  { step }: Step,
  { error, retries }: { readonly error: unknown; readonly retries: number },
): Promise<void> {
  const { deps, writer, runId } = parts;
  const { name: model, maxRetries } = modelOf(parts);
  const budget = { retries, maxRetries, leftMs: parts.leftMs(), random: Math.random() };
  const waitMs = Math.ceil(waitBeforeRetry(error, budget));
  const reason = cutText(ConnectError.from(error).rawMessage, longestWaitReason);
  const retry = retries + 1;
  writer.abandonBlock();
  writer.beginStep(step);
  writer.write({
    case: "modelWaiting",
    value: {
      model,
      reason,
      retry,
      of: maxRetries,
      waitMs: BigInt(waitMs),
      until: timestampFromMs(deps.clock.nowMs() + waitMs),
    },
  });
  deps.log.warn({ runId, step, retry, of: maxRetries, waitMs, reason }, "the model call failed; it is made again");
  await deps.clock.sleep(waitMs, parts.signal);
}

/** The model that the run is to call, as far as it is known. */
function modelOf({ deps, options, agent }: TimedParts): { readonly name: string; readonly maxRetries: number } {
  const wanted = options?.model || agent.model;
  const found = deps.models.resolve(wanted);
  return { name: found?.name ?? wanted, maxRetries: found?.model.maxRetries ?? 0 };
}

interface ModelStop {
  /** A ModelStopReason; a text, because the log may hold one of a newer worker. */
  readonly stopReason: string;
  readonly stopDetail: string;
  readonly model: string;
}

function refuseBadStop({ stopReason, stopDetail, model }: ModelStop, tokens: TokenBudget): void {
  switch (stopReason) {
    case "refusal":
      throw failure(ErrorReason.MODEL_REFUSED, `the model declined to answer ${stopDetail}`.trim(), {
        metadata: { model },
      });
    case "context_full":
      throw failure(ErrorReason.MODEL_REFUSED, "the conversation no longer fits the model: reset or fork the session", {
        metadata: { model },
      });
    case "max_tokens":
      throw new BudgetExceeded(tokens.left <= 0 ? `output tokens (${tokens.max})` : "output tokens of one model call");
  }
}

function endOf(error: unknown, parts: RunParts): Pick<RunFinished, "status"> & Partial<Omit<RunFinished, "$typeName">> {
  const reason: unknown = parts.signal.aborted ? parts.signal.reason : error;
  if (reason instanceof RunLost) throw reason;
  if (reason instanceof RunCancelled) return { status: RunStatus.CANCELLED, cancelledBy: reason.cancelledBy };
  const refused = [error, reason].find((each) => each instanceof RunRefused);
  if (refused !== undefined) {
    const message = cutText(`what the run wrote could not be stored: ${refused.message}`, 4_000);
    return { status: RunStatus.FAILED, failure: create(RunFailureSchema, { reason: refused.reason, message }) };
  }
  if (error instanceof BudgetExceeded) {
    const message = `the run used up its ${error.message}`;
    return {
      status: RunStatus.BUDGET_EXCEEDED,
      failure: create(RunFailureSchema, { reason: ErrorReason.LIMIT_EXCEEDED, message }),
    };
  }
  if (error instanceof ConnectError) {
    const { reason: known, metadata, retryAfterMs } = failureFacts(error);
    if (known !== undefined) {
      const retryable = retryAfterMs > 0 || (retryableReasons.has(known) && metadata["retry"] !== "false");
      return {
        status: RunStatus.FAILED,
        failure: create(RunFailureSchema, {
          reason: known,
          message: error.rawMessage.slice(0, 4_096),
          metadata: { ...metadata },
          retryable,
        }),
      };
    }
  }
  parts.deps.log.error(
    {
      runId: parts.runId,
      traceId: parts.traceId,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    },
    "a run failed",
  );
  const message = `a fault of ours; the log has it under trace ${parts.traceId}`;
  return {
    status: RunStatus.FAILED,
    failure: create(RunFailureSchema, {
      reason: ErrorReason.INTERNAL,
      message,
      metadata: { trace_id: parts.traceId },
      retryable: true,
    }),
  };
}

const retryableReasons: ReadonlySet<ErrorReason> = new Set([
  ErrorReason.MODEL_UNAVAILABLE,
  ErrorReason.MODEL_GAVE_NO_ANSWER,
  ErrorReason.PEER_UNAVAILABLE,
]);

/** A run's own wish, within the agent's bound. */
function limit(wish: number, bound: number): number {
  return wish > 0 ? Math.min(wish, bound) : bound;
}

function durationOf(ms: number): Duration {
  const seconds = Math.floor(ms / 1000);
  return create(DurationSchema, { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) });
}
