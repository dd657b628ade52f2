/**
 * CallTool: the call is the first frame; a cancel may follow at any time, also while the call waits for its server.
 * An ended or broken request stream cancels nothing (T2).
 */
import { create } from "@bufbuild/protobuf";
import { ToolCallStartedSchema } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import {
  type CallToolRequest,
  type CallToolResponse,
  CallToolResponseSchema,
  type ToolCall,
} from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import type { Log } from "../../kernel/log.ts";
import type { CallOwner } from "../ledger/call-ledger.ts";
import type { CallGate } from "./call-tool.ts";
import { streamCall } from "./stream-call.ts";
import { neverDispatchedResult } from "./tool-result.ts";

/** A call with the context that is true, and who owns it in the ledger. */
export interface OwnedCall {
  readonly owner: CallOwner;
  readonly call: ToolCall;
}

export async function* serveCallStream(
  gate: CallGate,
  bind: (call: ToolCall) => OwnedCall,
  requests: AsyncIterable<CallToolRequest>,
  signal: AbortSignal,
  log: Log,
): AsyncGenerator<CallToolResponse> {
  const frames = requests[Symbol.asyncIterator]();
  const { owner, call } = bind(await readCall(frames));
  const cancelled = new AbortController();
  const refused = new AbortController();
  void readFurther(frames, cancelled, refused, log);
  const admission = gate.admit(owner, call, AbortSignal.any([signal, cancelled.signal]));
  let admitted: Awaited<typeof admission>;
  try {
    admitted = await admission;
  } catch (error) {
    // It was waiting for a server when it was cancelled.
    if (!cancelled.signal.aborted) throw error;
    yield frame("result", neverDispatchedResult(call.callId));
    return;
  }
  if (admitted.kind === "finished") {
    yield frame("result", admitted.result);
    return;
  }
  const running = admitted.call;
  if (cancelled.signal.aborted) running.cancel();
  else cancelled.signal.addEventListener("abort", () => running.cancel(), { once: true });
  yield frame("started", create(ToolCallStartedSchema, { callId: running.callId, tool: running.tool }));
  for await (const { case: kind, value } of streamCall(running, AbortSignal.any([signal, refused.signal]))) {
    yield kind === "progress" ? frame("progress", value) : frame("result", value);
  }
  if (refused.signal.aborted) throw refused.signal.reason;
}

async function readCall(frames: AsyncIterator<CallToolRequest>): Promise<ToolCall> {
  const first = await frames.next();
  if (!first.done && first.value.frame.case === "call") return first.value.frame.value;
  throw failure(ErrorReason.FIELD_INVALID, "frame: the first frame must be a call", {
    fields: [{ path: "call", problem: "must be the first frame" }],
  });
}

/** A frame that makes no sense ends the stream with an error; the call goes on. Never rejects. */
async function readFurther(
  frames: AsyncIterator<CallToolRequest>,
  cancelled: AbortController,
  refused: AbortController,
  log: Log,
): Promise<void> {
  try {
    for (;;) {
      const next = await frames.next();
      if (next.done === true) return;
      const { frame: sent } = next.value;
      switch (sent.case) {
        case "cancel":
          log.info({ reason: sent.value.reason }, "a tool call is cancelled by its caller");
          cancelled.abort();
          break;
        case "decision":
          throw nothingToAnswer(sent.value.approvalId);
        case "answer":
          throw nothingToAnswer(sent.value.questionId);
        case "call":
        case undefined:
          throw failure(ErrorReason.FIELD_INVALID, "call: comes once, as the first frame; open a stream a call", {
            fields: [{ path: "call", problem: "comes once, as the first frame" }],
          });
      }
    }
  } catch (error) {
    refused.abort(error);
  }
}

function nothingToAnswer(id: string): Error {
  return failure(ErrorReason.NOTHING_TO_ANSWER, `this call has no open approval or question "${id}"`, {
    metadata: { id },
  });
}

type Frame = Exclude<CallToolResponse["frame"], { case: undefined }>;

function frame<Kind extends Frame["case"]>(
  kind: Kind,
  value: Extract<Frame, { case: Kind }>["value"],
): CallToolResponse {
  return create(CallToolResponseSchema, { frame: { case: kind, value } as Frame });
}
