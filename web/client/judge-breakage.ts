/**
 * What a broken call means for its caller. Atoll's own errors carry ErrorInfo and are judged by code and reason; an
 * error without it was made by the transport or by something on the way. Never judges by an error's text.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { FoldError } from "./fold/fold-error.ts";

export type Breakage =
  /** Go on from the cursor, not before `afterMs` milliseconds from now; 0 when the mesh named no time. */
  | { readonly kind: "resume"; readonly reason: string; readonly afterMs: number }
  /** The cursor is void: read the log from its beginning. */
  | { readonly kind: "startOver"; readonly reason: StartOverReason; readonly message: string }
  /** Nobody can go on without a valid token. */
  | { readonly kind: "unauthenticated"; readonly error: ConnectError }
  /** Trying again does not help. */
  | { readonly kind: "failed"; readonly error: ConnectError };

/** Names of the ErrorReason that voids a cursor. */
export type StartOverReason = "LOG_REPLACED" | "HISTORY_TRIMMED" | "CURSOR_AHEAD";

const startOverReasons: readonly string[] = ["LOG_REPLACED", "HISTORY_TRIMMED", "CURSOR_AHEAD"];

/** Codes that a transport or a proxy makes for a connection that could not be had or broke off. */
const transportCodes: readonly Code[] = [
  Code.Unavailable,
  Code.Unknown,
  Code.Internal,
  Code.Aborted,
  Code.Canceled,
  Code.DataLoss,
  Code.DeadlineExceeded,
];

/** The longest wait that a reader lets the mesh ask for (L7). A mesh counts failed authentications for a minute. */
const longestAskedMs = 300_000;

/** The name of the ErrorReason that an error of Atoll carries, without its prefix; empty for any other error. */
export function reasonOf(error: ConnectError): string {
  return error.findDetails(ErrorInfoSchema).find(({ domain }) => domain === "atoll")?.reason ?? "";
}

/** Judges why a stream broke. `wasLive`: whether it had answered, so that a protocol error is an abrupt end. */
export function judgeBreakage(thrown: unknown, wasLive: boolean): Breakage {
  // An event that no log can hold: the next stream would bring it again.
  if (thrown instanceof FoldError) return { kind: "failed", error: new ConnectError(thrown.message, Code.DataLoss) };
  const error = ConnectError.from(thrown);
  const reason = reasonOf(error);
  if (error.code === Code.Unauthenticated) return { kind: "unauthenticated", error };
  if (error.code === Code.OutOfRange && isStartOverReason(reason)) {
    return { kind: "startOver", reason, message: error.rawMessage };
  }
  const afterMs = retryAfterMs(error);
  const isRetryable =
    reason === ""
      ? // connect-node calls a missing end of stream INVALID_ARGUMENT.
        transportCodes.includes(error.code) || (wasLive && error.code === Code.InvalidArgument)
      : // The mesh says when a retry makes sense, for example when other programs on this address had too many failed tries.
        afterMs > 0 ||
        error.code === Code.Unavailable ||
        error.code === Code.DeadlineExceeded ||
        reason === "READER_STALLED";
  if (!isRetryable || afterMs > longestAskedMs) return { kind: "failed", error };
  return { kind: "resume", reason: reason || "connection lost", afterMs };
}

/** How long the error asks to wait before the next try, in milliseconds; 0 when it does not. */
function retryAfterMs(error: ConnectError): number {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay === undefined ? 0 : Number(delay.seconds) * 1_000 + delay.nanos / 1e6;
}

/** Whether a unary call never got its answer: UNAVAILABLE, or the network broke. Only a call with a request_id may be repeated. */
export function isUnanswered(thrown: unknown): boolean {
  const error = ConnectError.from(thrown);
  if (error.code === Code.Unavailable) return true;
  // The transport wraps what it caught (a failed fetch, a socket's end); an error that the server sent has no cause.
  return reasonOf(error) === "" && error.cause !== undefined && transportCodes.includes(error.code);
}

function isStartOverReason(reason: string): reason is StartOverReason {
  return startOverReasons.includes(reason);
}
