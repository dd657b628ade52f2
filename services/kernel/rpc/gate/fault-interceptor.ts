/**
 * Makes every failure of a call one of ours, and writes it down.
 *
 * Keeps L9 and "errors are typed": what leaves a handler carries a code and a reason; what is no ConnectError is a fault
 * of ours, is logged whole under its trace id and leaves as INTERNAL without a word of its own.
 */
import { Code, ConnectError, type Interceptor, type StreamRequest, type UnaryRequest } from "@connectrpc/connect";
import { ErrorReason, failure, failureFacts } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { InvalidPageToken, LogDamaged, StoreUnavailable } from "../../store/store-errors.ts";
import { traceIdKey } from "../call-context.ts";
import { statedTimeoutMs } from "../unary/bound-deadlines.ts";
import { decodedKey, explainReadFailure } from "./request-gate.ts";
import { storeFailure } from "./store-failure.ts";

export function createFaultInterceptor(log: Log): Interceptor {
  return (next) => async (request) => {
    request.contextValues.set(decodedKey, true);
    const explain = (error: unknown): ConnectError => explainFault(error, request, log);
    try {
      if (!request.stream) return await next(request);
      const response = await next({ ...request, message: explainReads(request) });
      if (!response.stream) return response;
      return { ...response, message: explainAll(response.message, explain) };
    } catch (error) {
      throw explain(error);
    }
  };
}

async function* explainAll<T>(messages: AsyncIterable<T>, explain: (error: unknown) => ConnectError): AsyncIterable<T> {
  try {
    yield* messages;
  } catch (error) {
    throw explain(error);
  }
}

/** A streamed request is decoded while the handler reads it. */
async function* explainReads(request: StreamRequest): StreamRequest["message"] {
  try {
    yield* request.message;
  } catch (error) {
    if (error instanceof ConnectError) explainReadFailure(error, request);
    throw error;
  }
}

function explainFault(error: unknown, request: UnaryRequest | StreamRequest, log: Log): ConnectError {
  const traceId = request.contextValues.get(traceIdKey);
  const method = `${request.service.typeName}/${request.method.name}`;
  if (error instanceof StoreUnavailable) {
    log.error({ traceId, method, problem: error.problem, cause: String(error.cause) }, "the store is unavailable");
    return storeFailure(error);
  }
  if (error instanceof LogDamaged) {
    log.error({ traceId, method, error }, "a log is damaged: stop the mesh and run `atoll doctor`");
    return storeFailure(error);
  }
  if (error instanceof InvalidPageToken) {
    return failure(ErrorReason.FIELD_INVALID, "page_token: not a token of this list: start again without one", {
      fields: [{ path: "page_token", problem: "not a token of this list" }],
    });
  }
  if (error instanceof ConnectError) {
    if (error.code === Code.Unimplemented && failureFacts(error).reason === undefined) {
      return failure(ErrorReason.METHOD_NOT_SERVED, `${method} is not served by this build of the mesh`, {
        metadata: { method },
      });
    }
    const timeoutMs = statedTimeoutMs(request.header);
    if (error.code === Code.DeadlineExceeded && failureFacts(error).reason === undefined && timeoutMs !== undefined) {
      // The library's own, of the deadline that the caller set.
      return failure(ErrorReason.DEADLINE_EXCEEDED, "the deadline that the caller set has passed", {
        metadata: { timeout_ms: String(timeoutMs) },
      });
    }
    if (error.code !== Code.Internal || failureFacts(error).reason !== undefined) {
      log.debug({ traceId, method, code: Code[error.code], reason: error.rawMessage }, "call refused");
      return error;
    }
  }
  if (request.signal.aborted) {
    const ended = ConnectError.from(request.signal.reason ?? error, Code.Canceled);
    return ended === error ? ended : explainFault(ended, request, log);
  }
  log.error(
    { traceId, method, error: error instanceof Error ? (error.stack ?? error.message) : String(error) },
    "call failed",
  );
  return failure(ErrorReason.INTERNAL, `a fault of ours; the log has it under trace ${traceId}`, {
    metadata: { trace_id: traceId },
  });
}
