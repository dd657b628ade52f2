/**
 * What every call to a peer carries, in memory as over HTTP/2: an assertion of who calls, and the trace (R6). A peer that
 * can't be reached is told from one that refuses.
 */
import { randomBytes } from "node:crypto";
import { Code, ConnectError, type Interceptor, type StreamResponse } from "@connectrpc/connect";
import type { Principal } from "../auth/principal.ts";
import { type SignedTokens, tokenTtlS } from "../auth/signed-tokens.ts";
import type { Clock } from "../clock.ts";
import { ErrorReason, failure, failureFacts } from "../errors.ts";
import { principalKey, traceIdKey } from "./call-context.ts";

/** @param peer The service that is called, for people and metadata, for example `session`. */
export function createHopInterceptor(peer: string, tokens: SignedTokens, clock: Clock): Interceptor {
  // One assertion serves many calls of one principal; it is renewed at half its life.
  const assertions = new WeakMap<Principal, { readonly token: string; readonly renewAtMs: number }>();
  const assertionOf = async (principal: Principal): Promise<string> => {
    const held = assertions.get(principal);
    const nowMs = clock.monotonicMs();
    if (held !== undefined && held.renewAtMs > nowMs) return held.token;
    const token = await tokens.sign("hop", principal);
    assertions.set(principal, { token, renewAtMs: nowMs + tokenTtlS.hop * 500 });
    return token;
  };
  return (next) => async (request) => {
    const principal = request.contextValues.get(principalKey);
    if (principal !== undefined) request.header.set("authorization", `Bearer ${await assertionOf(principal)}`);
    const traceId = request.contextValues.get(traceIdKey);
    if (traceId !== "") request.header.set("traceparent", `00-${traceId}-${randomBytes(8).toString("hex")}-01`);
    try {
      const response = await next(request);
      return response.stream ? { ...response, message: explainAll(response.message, peer) } : response;
    } catch (error) {
      throw explain(error, peer);
    }
  };
}

async function* explainAll(messages: StreamResponse["message"], peer: string): StreamResponse["message"] {
  try {
    yield* messages;
  } catch (error) {
    throw explain(error, peer);
  }
}

function explain(error: unknown, peer: string): unknown {
  const broken =
    error instanceof ConnectError && error.code === Code.Unavailable && failureFacts(error).reason === undefined;
  if (!broken) return error;
  return failure(ErrorReason.PEER_UNAVAILABLE, `the ${peer} service can't be reached: is it running?`, {
    metadata: { service: peer },
    retryAfterMs: 500,
    cause: error,
  });
}
