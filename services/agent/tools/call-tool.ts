/**
 * One tool call of a step, from its proposal to its outcome.
 *
 * Keeps L5: the proposal is durable before the router is asked. Keeps T1 on this side: the call id belongs to the
 * proposal, so that asking again, after a broken stream or by the next worker, is the same call to the router's ledger;
 * and a call that had started, as this worker or the log saw, is never made anew when the ledger is lost. Keeps F3: what
 * is said of its outcome is what is known of it, and every call that was begun gets one.
 */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type ToolCallFinished, ToolCallFinishedSchema } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import type { ToolCall, ToolResult } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { type CallFate, knownOfCall } from "../../kernel/call/known-of-call.ts";
import { ErrorReason, failedWith, failureFacts } from "../../kernel/errors.ts";
import { RunLost } from "../loop/run-ending.ts";
import { callOnce, type RouterParts, reattachOnce } from "./ask-router.ts";
import { RouterAway } from "./router-away.ts";

export interface CallToolParts extends RouterParts {
  /** Whether an earlier attempt may have sent the call already. */
  readonly isResumed: boolean;
  /** Whether the log says that the call had started. */
  readonly hasStarted: boolean;
}

/** Calls the tool and writes what happens; what it resolves to is written as well. Throws only when the run is lost. */
export async function callTool(parts: CallToolParts, call: ToolCall): Promise<ToolCallFinished> {
  const { signal, writer } = parts;
  let finished: ToolCallFinished;
  try {
    finished = await askFor(parts, call);
  } catch (error) {
    if (!signal.aborted || signal.reason instanceof RunLost) throw error;
    // The run ends now, with whatever is known: its worker is the last one that could say it.
    const problem = "the run was stopped, and the tool router did not say how the call ended";
    finished = finishedWith(call.callId, { kind: "in-doubt", problem });
  }
  writer.write({ case: "toolCallFinished", value: finished });
  return finished;
}

/**
 * What became of a call of a run that stops, which this worker did not ask for; an earlier one may have. Throws nothing:
 * a router that does not say it before the signal aborts leaves the call in doubt.
 */
export async function learnOutcome(parts: CallToolParts, call: ToolCall): Promise<ToolCallFinished> {
  const { callId } = call;
  if (!parts.isResumed && !parts.hasStarted) return finishedWith(callId, { kind: "cancelled-before" });
  try {
    return fromResult(await reattachOnce(parts, call, new RouterAway(parts.deps.clock)));
  } catch (error) {
    if (isNeverMade(error) && !parts.hasStarted) return finishedWith(callId, { kind: "cancelled-before" });
    const problem = "the run was stopped before the tool router said how the call ended";
    return finishedWith(callId, { kind: "in-doubt", problem });
  }
}

async function askFor(parts: CallToolParts, call: ToolCall): Promise<ToolCallFinished> {
  const { deps, signal } = parts;
  const { callId } = call;
  const away = new RouterAway(deps.clock);
  let hasStarted = parts.hasStarted;
  for (let attempt = 1; ; attempt++) {
    try {
      const onStarted = (): void => {
        hasStarted = true;
      };
      return fromResult(await callOnce(parts, { ...call, hasStarted }, away, onStarted));
    } catch (error) {
      const mayHaveRun = parts.isResumed || hasStarted || attempt > 1 || isInDoubt(error);
      if (!mayHaveRun) return fromRefusal(callId, error);
      signal.throwIfAborted();
      // The ledger makes all tries one call.
      if (await away.mayComeBack(error, signal)) {
        deps.log.warn({ callId, attempt }, "the tool router can't be reached; the call is sent again");
        continue;
      }
      return await whatBecameOf({ ...parts, hasStarted }, call, error, away);
    }
  }
}

/**
 * A call that was sent before and is refused now (its server is down, its tool is gone), or whose stream broke, may have
 * had its effect: the ledger knows, and an id that it does not know is tombstoned, so that the refusal stays true (T2). A
 * call that had started and that the ledger does not know is one whose ledger was lost.
 */
async function whatBecameOf(
  parts: CallToolParts,
  call: ToolCall,
  refusal: unknown,
  away: RouterAway,
): Promise<ToolCallFinished> {
  const { deps, signal } = parts;
  const { callId } = call;
  for (;;) {
    try {
      return fromResult(await reattachOnce(parts, call, away));
    } catch (error) {
      signal.throwIfAborted();
      if (isNeverMade(error) && !parts.hasStarted) return fromRefusal(callId, refusal);
      if (await away.mayComeBack(error, signal)) {
        deps.log.warn({ callId }, "the tool router can't be reached; it is asked again what became of the call");
        continue;
      }
      deps.log.warn({ callId, error: String(error) }, "what became of a tool call can't be learned");
      return finishedWith(callId, fateAfter(error, refusal, call));
    }
  }
}

function fateAfter(error: unknown, refusal: unknown, { tool }: ToolCall): CallFate {
  if (isNeverMade(error)) {
    return { kind: "in-doubt", problem: "the call had started, and the tool router has lost its record of it" };
  }
  // It is this side that does not take the answer: it is there, and will be as large the next time.
  if (error instanceof ConnectError && error.code === Code.ResourceExhausted && !isOurs(error)) {
    return { kind: "unreadable", server: tool.split(".")[0] ?? tool, problem: error.rawMessage };
  }
  const why = ConnectError.from(refusal).rawMessage;
  return { kind: "in-doubt", problem: `it is not known whether the call had its effect (${why})` };
}

/** Whether the router gave the id up, now or before: the call was not made under it and never will be. */
function isNeverMade(error: unknown): boolean {
  return failedWith(error, ErrorReason.CALL_NOT_FOUND) || failedWith(error, ErrorReason.CALL_TOMBSTONED);
}

function fromResult(result: ToolResult): ToolCallFinished {
  const { callId, outcome, structuredJson, reason, message, fieldPaths, durationMs, truncated } = result;
  return create(ToolCallFinishedSchema, {
    callId,
    outcome,
    reason,
    durationMs,
    truncated,
    message,
    fieldPaths,
    content: result.content,
    structuredJson,
  });
}

/** What the router refuses had no effect, and the model is told why. */
function fromRefusal(callId: string, error: unknown): ToolCallFinished {
  const known = ConnectError.from(error);
  const { reason, fields } = failureFacts(known);
  const problems = fields.map(({ path, problem }) => `${path}: ${problem}`);
  const problem = [known.rawMessage, ...problems].join("\n");
  const fieldPaths = fields.map(({ path }) => path);
  const refused = finishedWith(callId, { kind: "refused", reason: reason ?? ErrorReason.INTERNAL, problem });
  return { ...refused, fieldPaths };
}

/** A model that gave arguments that can't be read is told so; nothing was asked of the router. */
export function refuseArguments(callId: string, problem: string): ToolCallFinished {
  return finishedWith(callId, { kind: "refused", reason: ErrorReason.TOOL_ARGUMENTS_INVALID, problem });
}

/** The outcome of a call that has no answer. */
export function finishedWith(callId: string, fate: CallFate): ToolCallFinished {
  const { outcome, reason, message } = knownOfCall(fate);
  return create(ToolCallFinishedSchema, { callId, outcome, reason, message });
}

/** Reasons with which a call can fail that was dispatched already. Every other one is a refusal in front of it. */
const doubtfulReasons: ReadonlySet<ErrorReason> = new Set([
  ErrorReason.PEER_UNAVAILABLE,
  ErrorReason.DRAINING,
  ErrorReason.STORE_UNAVAILABLE,
  ErrorReason.DEADLINE_EXCEEDED,
  ErrorReason.TOOL_TIMEOUT,
  ErrorReason.TOOL_OUTCOME_UNKNOWN,
  ErrorReason.INTERNAL,
]);

/** The same of codes without a reason of ours. The others say that the request itself was not taken. */
const doubtfulCodes: ReadonlySet<Code> = new Set([
  Code.Canceled,
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.Aborted,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);

function isInDoubt(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return true;
  const { reason } = failureFacts(error);
  return reason === undefined ? doubtfulCodes.has(error.code) : doubtfulReasons.has(reason);
}

function isOurs(error: ConnectError): boolean {
  return failureFacts(error).reason !== undefined;
}
