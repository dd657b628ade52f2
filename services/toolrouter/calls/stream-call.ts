/**
 * The stream of CallTool and ReattachCall: progress until the outcome.
 *
 * Keeps L7: of progress that the reader has not taken only the latest is kept. Keeps T2: when the reader goes, nothing
 * but this stream ends.
 */
import { create } from "@bufbuild/protobuf";
import { type ToolProgress, ToolProgressSchema } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import type { ToolResult } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { cutText } from "../../kernel/visible-text.ts";
import { escapeHidden } from "../escape-hidden.ts";
import type { RunningCall } from "./running-call.ts";

const maxMessageBytes = 4096;
/** With room for the mark of a cut. */
const keptMessageBytes = maxMessageBytes - 64;

export type CallFrame =
  | { readonly case: "progress"; readonly value: ToolProgress }
  | { readonly case: "result"; readonly value: ToolResult };

/** Ends after the result, or without one when the signal aborts. Throws StoreUnavailable. */
export async function* streamCall(call: RunningCall, signal: AbortSignal): AsyncGenerator<CallFrame> {
  let latest: ToolProgress | undefined;
  let wake = Promise.withResolvers<void>();
  const subscription = call.onProgress(({ progress, total, message }) => {
    latest = create(ToolProgressSchema, { callId: call.callId, progress, total, message: showMessage(message) });
    wake.resolve();
  });
  const stop = (): void => wake.resolve();
  signal.addEventListener("abort", stop, { once: true });
  const outcome = call.result();
  let ended = false;
  const end = (): void => {
    ended = true;
    wake.resolve();
  };
  outcome.then(end, end);
  try {
    while (!ended && !signal.aborted) {
      await wake.promise;
      wake = Promise.withResolvers<void>();
      if (latest === undefined || signal.aborted) continue;
      const value = latest;
      latest = undefined;
      yield { case: "progress", value };
    }
    if (!signal.aborted) yield { case: "result", value: await outcome };
  } finally {
    subscription.stop();
    signal.removeEventListener("abort", stop);
  }
}

/** Cut before it is escaped, too: escaping 16 MiB of hidden characters takes seconds. */
function showMessage(message: string): string {
  const shown = escapeHidden(cutText(message, keptMessageBytes));
  return Buffer.byteLength(shown) <= maxMessageBytes ? shown : cutText(shown, keptMessageBytes);
}
