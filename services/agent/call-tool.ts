/**
 * One tool call of a step, from its proposal to its outcome.
 *
 * Keeps L5: the proposal is durable before the router is asked. Keeps T1 on this side: the call id belongs to the
 * proposal, so that asking again, after a broken stream or by the next worker, is the same call to the router's ledger.
 * Keeps L7: no more is read of the router than the writer has room for.
 */
import { create } from "@bufbuild/protobuf";
import { type CallOptions, Code, ConnectError } from "@connectrpc/connect";
import { type ToolCallFinished, ToolCallFinishedSchema, ToolOutcome } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import type { ToolCall, ToolResult } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import type { Timer } from "../kernel/clock.ts";
import { ErrorReason, failedWith, failureFacts } from "../kernel/errors.ts";
import { FrameQueue } from "../kernel/stream/frame-queue.ts";
import type { AgentDeps } from "./agent-deps.ts";
import type { EventWriter } from "./event-writer.ts";
import { ProgressPace } from "./progress-pace.ts";
import { RouterAway } from "./router-away.ts";
import { RunLost } from "./run-ending.ts";

/** How long the router may take to say how a cancelled call ended. */
const cancelWaitMs = 5_000;

export interface CallToolParts {
  readonly deps: Pick<AgentDeps, "toolRouter" | "clock" | "log">;
  readonly writer: EventWriter;
  readonly signal: AbortSignal;
  readonly options: CallOptions;
  /** Whether an earlier attempt may have sent the call already. */
  readonly isResumed: boolean;
}

/** Calls the tool and writes what happens; what it resolves to is written as well. Throws only when the run is over. */
export async function callTool(parts: CallToolParts, call: ToolCall): Promise<ToolCallFinished> {
  const away = new RouterAway(parts.deps.clock);
  for (let attempt = 1; ; attempt++) {
    try {
      return write(parts, fromResult(await callOnce(parts, call, away)));
    } catch (error) {
      parts.signal.throwIfAborted();
      // The ledger makes all tries one call.
      if (await away.mayComeBack(error, parts.signal)) {
        const { callId } = call;
        parts.deps.log.warn({ callId, attempt }, "the tool router can't be reached; the call is sent again");
        continue;
      }
      const mayHaveRun = parts.isResumed || attempt > 1 || isInDoubt(error);
      return write(parts, mayHaveRun ? await whatBecameOf(parts, call, error, away) : fromRefusal(call.callId, error));
    }
  }
}

/**
 * A call that was sent before and is refused now (its server is down, its tool is gone), or whose stream broke, may have
 * had its effect: the ledger knows, and an id that it does not know is tombstoned, so that the refusal stays true (T2).
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
      if (isUnknown(error)) return fromRefusal(callId, refusal);
      if (await away.mayComeBack(error, signal)) {
        deps.log.warn({ callId }, "the tool router can't be reached; it is asked again what became of the call");
        continue;
      }
      deps.log.warn({ callId, error: String(error) }, "what became of a tool call can't be learned");
      const text = `It is not known whether the call had its effect (${ConnectError.from(refusal).rawMessage}). Check before you call it again.`;
      const reason = ErrorReason.TOOL_OUTCOME_UNKNOWN;
      return create(ToolCallFinishedSchema, {
        callId,
        outcome: ToolOutcome.UNKNOWN,
        reason,
        content: [textBlock(text)],
      });
    }
  }
}

/** The router gave the id up, now or before: the call was not made and never will be. */
function isUnknown(error: unknown): boolean {
  return failedWith(error, ErrorReason.CALL_NOT_FOUND) || failedWith(error, ErrorReason.CALL_TOMBSTONED);
}

async function reattachOnce(
  { deps, options, signal }: CallToolParts,
  { callId, context }: ToolCall,
  away: RouterAway,
): Promise<ToolResult> {
  const request = { callId, ...(context === undefined ? {} : { context }) };
  const waiting = { ...options, signal: eitherSignal(options.signal, signal) };
  let result: ToolResult | undefined;
  for await (const { frame } of deps.toolRouter.reattachCall(request, waiting)) {
    away.heard();
    if (frame.case === "result") result = frame.value;
  }
  if (result !== undefined) return result;
  throw endedEarly();
}

async function callOnce(
  { deps, writer, signal, options }: CallToolParts,
  call: ToolCall,
  away: RouterAway,
): Promise<ToolResult> {
  const requests = new FrameQueue<{
    frame: { case: "call"; value: ToolCall } | { case: "cancel"; value: { reason: string } };
  }>();
  requests.offer({ frame: { case: "call", value: call } });
  const leave = new AbortController();
  let leaving: Timer | undefined;
  const progress = new ProgressPace(writer, deps.clock);
  // It is read to the end: a reader that leaves at the result is one that the library does not tell the router of.
  let result: ToolResult | undefined;
  const onAbort = (): void => {
    // The call of a lost run is left alone: whoever has the run now asks for it under the same id (T2).
    if (signal.reason instanceof RunLost) {
      leave.abort(signal.reason);
      return;
    }
    requests.offer({ frame: { case: "cancel", value: { reason: "the run was cancelled" } } });
    leaving = deps.clock.setTimer(cancelWaitMs, () => leave.abort(signal.reason));
  };
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    // The run's signal is not the stream's: a cancelled call still has an outcome, and it belongs into the log.
    const waiting = { ...options, signal: eitherSignal(options.signal, leave.signal) };
    for await (const { frame } of deps.toolRouter.callTool(requests, waiting)) {
      away.heard();
      switch (frame.case) {
        case "started":
          writer.write({ case: "toolCallStarted", value: frame.value });
          break;
        case "progress":
          progress.write(frame.value);
          break;
        case "approvalRequested":
          writer.write({ case: "approvalRequested", value: frame.value });
          break;
        case "questionAsked":
          writer.write({ case: "questionAsked", value: frame.value });
          break;
        case "result":
          result = frame.value;
          break;
        case undefined:
          break;
      }
      await writer.ready();
    }
  } catch (error) {
    if (result === undefined) throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
    leaving?.cancel();
    progress.end();
    requests.end();
  }
  if (result !== undefined) return result;
  throw endedEarly();
}

/** A router that leaves in the middle of a call may end its stream in good order. */
function endedEarly(): ConnectError {
  return new ConnectError("the tool router ended the stream without a result", Code.Unavailable);
}

function write({ writer }: CallToolParts, finished: ToolCallFinished): ToolCallFinished {
  writer.write({ case: "toolCallFinished", value: finished });
  return finished;
}

function fromResult(result: ToolResult): ToolCallFinished {
  const { callId, outcome, structured, reason, durationMs, truncated } = result;
  return create(ToolCallFinishedSchema, {
    callId,
    outcome,
    reason,
    durationMs,
    truncated,
    content: result.content.length > 0 || result.message === "" ? result.content : [textBlock(result.message)],
    ...(structured === undefined ? {} : { structured }),
  });
}

/** What the router refuses had no effect, and the model is told why. */
function fromRefusal(callId: string, error: unknown): ToolCallFinished {
  const known = ConnectError.from(error);
  const { reason, fields } = failureFacts(known);
  const problems = fields.map(({ path, problem }) => `${path}: ${problem}`);
  return create(ToolCallFinishedSchema, {
    callId,
    outcome: ToolOutcome.REFUSED,
    reason: reason ?? ErrorReason.INTERNAL,
    content: [textBlock([known.rawMessage, ...problems].join("\n"))],
  });
}

/** A model that gave arguments that can't be read is told so; nothing was asked of the router. */
export function refuseArguments(callId: string, problem: string): ToolCallFinished {
  return create(ToolCallFinishedSchema, {
    callId,
    outcome: ToolOutcome.REFUSED,
    reason: ErrorReason.TOOL_ARGUMENTS_INVALID,
    content: [textBlock(problem)],
  });
}

function textBlock(text: string) {
  return { block: { case: "text" as const, value: { text } } };
}

function eitherSignal(one: AbortSignal | undefined, other: AbortSignal): AbortSignal {
  return one === undefined ? other : AbortSignal.any([one, other]);
}

/** Reasons with which a call can fail that was dispatched already. Every other one is a refusal in front of it. */
const doubtful: ReadonlySet<ErrorReason | undefined> = new Set([
  undefined,
  ErrorReason.PEER_UNAVAILABLE,
  ErrorReason.STORE_UNAVAILABLE,
  ErrorReason.DEADLINE_EXCEEDED,
  ErrorReason.TOOL_TIMEOUT,
  ErrorReason.TOOL_OUTCOME_UNKNOWN,
  ErrorReason.INTERNAL,
]);

function isInDoubt(error: unknown): boolean {
  return !(error instanceof ConnectError) || doubtful.has(failureFacts(error).reason);
}
