/**
 * Asks the tool router for a call, or what became of one.
 *
 * Keeps L7: no more is read of the router than the writer has room for. Keeps R5: a run that is told to stop cancels its
 * call and hears how it ended, for a bounded time.
 */
import { type CallOptions, Code, ConnectError } from "@connectrpc/connect";
import type { ToolCall, ToolResult } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import type { Timer } from "../../kernel/clock.ts";
import { FrameQueue } from "../../kernel/stream/frame-queue.ts";
import type { AgentDeps } from "../agent-deps.ts";
import type { EventWriter } from "../loop/event-writer.ts";
import { RunLost } from "../loop/run-ending.ts";
import { ProgressPace } from "./progress-pace.ts";
import type { RouterAway } from "./router-away.ts";

/** How long the router may take to say how a cancelled call ended. */
const cancelWaitMs = 5_000;

export interface RouterParts {
  readonly deps: Pick<AgentDeps, "toolRouter" | "clock" | "log">;
  readonly writer: EventWriter;
  readonly signal: AbortSignal;
  readonly options: CallOptions;
}

/** Rejects with what the router said, or with what broke the stream. `onStarted`: the call is let through. */
export async function callOnce(
  { deps, writer, signal, options }: RouterParts,
  call: ToolCall,
  away: RouterAway,
  onStarted: () => void,
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
          onStarted();
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

/** An id that the router does not know is tombstoned by this (T2), and the router says so. */
export async function reattachOnce(
  { deps, options, signal }: Omit<RouterParts, "writer">,
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

/** A router that leaves in the middle of a call may end its stream in good order. */
function endedEarly(): ConnectError {
  return new ConnectError("the tool router ended the stream without a result", Code.Unavailable);
}

function eitherSignal(one: AbortSignal | undefined, other: AbortSignal): AbortSignal {
  return one === undefined ? other : AbortSignal.any([one, other]);
}
