/** Errors of the mesh that travel inside a stream (ChatError), as the ConnectError that a call would have failed with, and back. */

import { create } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { ErrorReason, ErrorReasonSchema } from "../../gen/atoll/error/v1/error_reason_pb.ts";
import { type ChatError, ChatErrorSchema } from "../../gen/atoll/gateway/v1/chat_pb.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";

const prefix = "ERROR_REASON_";

export function toConnectError({ code, message, reason, metadata, retryAfterMs }: ChatError): ConnectError {
  const error = new ConnectError(message, code);
  const name = ErrorReasonSchema.value[reason]?.name.slice(prefix.length);
  if (reason !== ErrorReason.UNSPECIFIED && name !== undefined) {
    error.details.push({ desc: ErrorInfoSchema, value: { reason: name, domain: "atoll", metadata } });
  }
  if (retryAfterMs > 0) {
    const seconds = Math.floor(retryAfterMs / 1_000);
    const nanos = (retryAfterMs - seconds * 1_000) * 1e6;
    error.details.push({ desc: RetryInfoSchema, value: { retryDelay: { seconds: BigInt(seconds), nanos } } });
  }
  return error;
}

export function toChatError(error: ConnectError): ChatError {
  const info = error.findDetails(ErrorInfoSchema).find(({ domain }) => domain === "atoll");
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return create(ChatErrorSchema, {
    code: error.code,
    message: error.rawMessage,
    reason: reasonOf(info?.reason),
    metadata: { ...info?.metadata },
    retryAfterMs: delay === undefined ? 0 : Math.ceil(Number(delay.seconds) * 1_000 + delay.nanos / 1e6),
  });
}

/** Unspecified for a reason that is newer than this client. */
function reasonOf(name: string | undefined): ErrorReason {
  const known = ErrorReasonSchema.values.find((value) => value.name === `${prefix}${name}`);
  return (known?.number ?? ErrorReason.UNSPECIFIED) as ErrorReason;
}
