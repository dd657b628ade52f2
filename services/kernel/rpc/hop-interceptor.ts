/**
 * What every call to a peer carries, in memory as over HTTP/2: an assertion of who calls, and the trace (R6). A peer that
 * can't be reached, or was lost in the middle of a call, is told from one that refuses: what a peer says itself has a reason.
 */
import { Code, ConnectError, type Interceptor, type StreamResponse } from "@connectrpc/connect";
import type { Principal } from "../auth/principal.ts";
import { type SignedTokens, tokenTtlS } from "../auth/signed-tokens.ts";
import type { Clock } from "../clock.ts";
import { ErrorReason, failedWith, failure, failureFacts } from "../errors.ts";
import { newSpanId } from "../id.ts";
import { principalKey, traceIdKey } from "./call-context.ts";

/** @param peer The service that is called, for people and metadata, for example `session`. */
export function createHopInterceptor(peer: string, tokens: SignedTokens, clock: Clock): Interceptor {
  // One assertion serves many calls of one principal; it is renewed at half its life. Its life is one of the wall clock,
  // so that is what is looked at: a clock that is set ahead makes a new one at once.
  const assertions = new WeakMap<Principal, { readonly token: string; readonly renewAtMs: number }>();
  const assertionOf = async (principal: Principal): Promise<string> => {
    const held = assertions.get(principal);
    const nowMs = clock.nowMs();
    if (held !== undefined && held.renewAtMs > nowMs) return held.token;
    // The origin of a web token was checked at the edge; between services there is none.
    const token = await tokens.sign("hop", { ...principal, origin: undefined });
    assertions.set(principal, { token, renewAtMs: nowMs + tokenTtlS.hop * 500 });
    return token;
  };
  return (next) => async (request) => {
    const principal = request.contextValues.get(principalKey);
    if (principal !== undefined) request.header.set("authorization", `Bearer ${await assertionOf(principal)}`);
    const traceId = request.contextValues.get(traceIdKey);
    if (traceId !== "") request.header.set("traceparent", `00-${traceId}-${newSpanId()}-01`);
    // What the caller itself brought was checked before, so that a refusal is of this service's word.
    const call: HopCall = { peer, signal: request.signal, isAsserted: principal !== undefined };
    try {
      const response = await next(request).catch(async (error: unknown) => {
        if (principal === undefined || request.stream || !failedWith(error, ErrorReason.TOKEN_INVALID)) throw error;
        // Its life is of the wall clock, which was set while it was on its way: nothing was done, and a new one is good.
        assertions.delete(principal);
        request.header.set("authorization", `Bearer ${await assertionOf(principal)}`);
        return next(request);
      });
      return response.stream ? { ...response, message: explainAll(response.message, call) } : response;
    } catch (error) {
      throw explain(error, call);
    }
  };
}

interface HopCall {
  readonly peer: string;
  readonly signal: AbortSignal;
  /** Whether this service said who calls. */
  readonly isAsserted: boolean;
}

async function* explainAll(messages: StreamResponse["message"], call: HopCall): StreamResponse["message"] {
  try {
    yield* messages;
  } catch (error) {
    throw explain(error, call);
  }
}

/** How the library names a connection that was refused, or cut in mid-call (reset, or a stream that was closed). */
const lostCodes: ReadonlySet<Code> = new Set([Code.Unavailable, Code.Aborted, Code.Canceled]);

/** And how it names what broke on this side of the wire: a write that failed, an answer that ended in the middle. */
const brokenCodes: ReadonlySet<Code> = new Set([Code.Internal, Code.Unknown, Code.InvalidArgument]);

function isLost(error: unknown): error is ConnectError {
  if (!(error instanceof ConnectError) || failureFacts(error).reason !== undefined) return false;
  return lostCodes.has(error.code) || (!error.isWireError && brokenCodes.has(error.code));
}

function explain(error: unknown, { peer, signal, isAsserted }: HopCall): unknown {
  if (isAsserted && failedWith(error, ErrorReason.TOKEN_INVALID)) {
    return failure(
      ErrorReason.PEER_UNAVAILABLE,
      `the ${peer} service does not take this service's word: do their clocks and their mesh keys agree?`,
      { metadata: { service: peer }, retryAfterMs: 500, cause: error },
    );
  }
  if (!isLost(error) || signal.aborted) return error;
  return failure(ErrorReason.PEER_UNAVAILABLE, `the ${peer} service can't be reached: is it running?`, {
    metadata: { service: peer },
    retryAfterMs: 500,
    cause: error,
  });
}
