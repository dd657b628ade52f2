/**
 * What every call to a peer carries, in memory as over HTTP/2: who calls, and the trace (R6). A process that holds the mesh's
 * key asserts the caller itself; a worker calls with the token of its run, and what signs nothing hands on the assertion
 * that it was called with. A peer that can't be reached, or was lost in the middle of a call, is told from one that
 * refuses: what a peer says itself has a reason.
 */
import { Code, ConnectError, type ContextValues, type Interceptor, type StreamResponse } from "@connectrpc/connect";
import { Scope as AuthScope } from "../../../../gen/atoll/auth/v1/options_pb.ts";
import { holdsScope } from "../../auth/authenticate.ts";
import type { Principal } from "../../auth/principal.ts";
import type { SignedTokens, TokenKind } from "../../auth/signed-tokens.ts";
import { tokenTtlS } from "../../auth/signed-tokens.ts";
import type { Clock } from "../../clock.ts";
import { ErrorReason, failedWith, failure, failureFacts } from "../../errors.ts";
import { newSpanId } from "../../id.ts";
import { credentialKey, principalKey, traceIdKey } from "../call-context.ts";
import { runTokenKey } from "./run-token.ts";

/** How long a unary call waits for the next token of its run: some renewals of its lease. */
const renewalWaitMs = 5_000;

/** What the agent service may do in a caller's name: answer, and call tools. */
const agentScopes = [AuthScope.AGENTS_READ, AuthScope.AGENTS_RUN, AuthScope.TOOLS_READ, AuthScope.TOOLS_CALL];

/** Who a call says that it comes from. */
interface Credential {
  readonly token: string;
  /** After the peer refused the token: another one, undefined when there is none. */
  readonly another: (signal: AbortSignal) => Promise<string | undefined>;
}

/**
 * @param peer The service that is called, for people and metadata, for example `session`.
 * @param tokens Undefined in a process that signs nothing.
 */
export function createHopInterceptor(peer: string, tokens: SignedTokens | undefined, clock: Clock): Interceptor {
  const kind: TokenKind = peer === "agent" ? "agent" : "hop";
  // One assertion serves many calls of one principal; it is renewed at half its life. Its life is one of the wall clock,
  // so that is what is looked at: a clock that is set ahead makes a new one at once.
  const assertions = new WeakMap<Principal, { readonly token: string; readonly renewAtMs: number }>();
  const assertionOf = async (principal: Principal, signer: SignedTokens): Promise<string> => {
    const held = assertions.get(principal);
    const nowMs = clock.nowMs();
    if (held !== undefined && held.renewAtMs > nowMs) return held.token;
    // The origin of a web token was checked at the edge; between services there is none.
    const token = await signer.sign(kind, {
      ...(kind === "agent" ? narrowed(principal) : principal),
      origin: undefined,
    });
    assertions.set(principal, { token, renewAtMs: nowMs + tokenTtlS[kind] * 500 });
    return token;
  };
  const credentialOf = async (values: ContextValues): Promise<Credential | undefined> => {
    const runToken = values.get(runTokenKey);
    if (runToken !== undefined) {
      const { token } = runToken;
      const another = async (signal: AbortSignal) =>
        (await runToken.another(token, clock, renewalWaitMs, signal)) ? runToken.token : undefined;
      return { token, another };
    }
    const principal = values.get(principalKey);
    if (principal === undefined) return undefined;
    if (tokens === undefined) return { token: values.get(credentialKey), another: async () => undefined };
    const another = (): Promise<string> => {
      assertions.delete(principal);
      return assertionOf(principal, tokens);
    };
    return { token: await assertionOf(principal, tokens), another };
  };
  return (next) => async (request) => {
    const credential = await credentialOf(request.contextValues);
    if (credential !== undefined) request.header.set("authorization", `Bearer ${credential.token}`);
    const traceId = request.contextValues.get(traceIdKey);
    if (traceId !== "") request.header.set("traceparent", `00-${traceId}-${newSpanId()}-01`);
    // What the caller itself brought was checked before, so that a refusal is of this service's word.
    const call: HopCall = { peer, signal: request.signal, isAsserted: credential !== undefined };
    try {
      const response = await next(request).catch(async (error: unknown) => {
        if (credential === undefined || request.stream || !failedWith(error, ErrorReason.TOKEN_INVALID)) throw error;
        // Its life is of the wall clock, which was set while it was on its way: nothing was done, and a new one is good.
        const token = await credential.another(request.signal);
        if (token === undefined) throw error;
        request.header.set("authorization", `Bearer ${token}`);
        return next(request);
      });
      return response.stream ? { ...response, message: explainAll(response.message, call) } : response;
    } catch (error) {
      throw explain(error, call);
    }
  };
}

/** The principal without what the agent service has no use for: its process may be one that is trusted less. */
function narrowed(principal: Principal): Principal {
  return { ...principal, scopes: new Set(agentScopes.filter((scope) => holdsScope(principal, scope))) };
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

function isLost(error: unknown): boolean {
  // A failure of node's streams that the library has not given a name yet.
  if (!(error instanceof ConnectError))
    return error instanceof Error && "code" in error && typeof error.code === "string";
  if (failureFacts(error).reason !== undefined) return false;
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
