/** A refusal as it travels inside a stream that goes on. */
import { create } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { type ChatError, ChatErrorSchema } from "../../../gen/atoll/gateway/v1/chat_pb.ts";
import { ErrorReason, failure, failureFacts } from "../../kernel/errors.ts";
import type { Log } from "../../kernel/log.ts";

export interface Teller {
  readonly log: Log;
  /** Of the stream. */
  readonly traceId: string;
}

/** @param sessionId The session whose flow broke; empty when a frame was refused. */
export function chatErrorOf(error: unknown, sessionId: string, { log, traceId }: Teller): ChatError {
  if (!(error instanceof ConnectError)) log.error({ traceId, error: String(error) }, "a frame of a stream failed");
  const known =
    error instanceof ConnectError
      ? error
      : failure(ErrorReason.INTERNAL, `a fault of ours; the log has it under trace ${traceId}`, {
          metadata: { trace_id: traceId },
        });
  const { reason, metadata, fields, retryAfterMs } = failureFacts(known);
  return create(ChatErrorSchema, {
    code: known.code,
    reason: reason ?? ErrorReason.UNSPECIFIED,
    message: known.rawMessage,
    metadata: { ...metadata },
    fieldPaths: fields.map((field) => field.path),
    retryAfterMs: Math.ceil(retryAfterMs),
    sessionId,
  });
}
