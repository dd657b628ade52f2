/**
 * The model call of a step, made again when it failed in a way that may pass, and once more when the model said nothing.
 *
 * Keeps S8: what was shown of a call that is made again is discarded by name. Keeps L7 and L9: retries are bounded, and a
 * wait for the model is told (ModelWaiting).
 */

import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { DiscardReason } from "../../../gen/atoll/event/v1/block_events_pb.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { cutText } from "../../kernel/visible-text.ts";
import type { Step } from "../memory/conversation.ts";
import type { WorkingConversation } from "../memory/working-conversation.ts";
import { mostMendings } from "../models/model.ts";
import { modelOf } from "./model-of.ts";
import { BudgetExceeded, type TokenBudget, tokensOf } from "./run-budget.ts";
import { runModelStep } from "./run-model-step.ts";
import type { TimedParts } from "./run-parts.ts";
import { waitBeforeRetry } from "./step-retries.ts";

const longestWaitReason = 1_024;

/** Throws what the run ends with when the step can't be taken. */
export async function takeModelStep(parts: TimedParts, conversation: WorkingConversation, step: number): Promise<void> {
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

/** Whether the model ended its turn and neither said anything nor asked for a tool. */
export function isSilent({ stopReason, items }: Step): boolean {
  if (stopReason !== "end" && stopReason !== "tool_use") return false;
  return !items.some((item) => item.kind === "call" || (item.block === "text" && item.text.trim() !== ""));
}

interface ModelStop {
  /** A ModelStopReason; a text, because the log may hold one of a newer worker. */
  readonly stopReason: string;
  readonly stopDetail: string;
  readonly model: string;
}

/** Throws what a run ends with whose model stopped where it can't go on. */
export function refuseBadStop({ stopReason, stopDetail, model }: ModelStop, tokens: TokenBudget): void {
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
