/**
 * What happens before a request's body is read: trace, authentication, scope, and the bounds of who is not known.
 *
 * Keeps L6: the scope stands in the contract; an RPC without one is denied to everyone. Keeps F4: a public RPC has a place
 * among few, and nothing is inflated for it; a refused token costs its address. A body that can't be decoded is
 * the caller's fault, never INTERNAL: the library fails it before any interceptor runs, so the gate corrects the error
 * on its way out.
 */
import { Code, ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { Scope, ScopeSchema } from "../../../../gen/atoll/auth/v1/options_pb.ts";
import { type Authenticate, holdsScope } from "../../auth/authenticate.ts";
import { ErrorReason, failure } from "../../errors.ts";
import { newTraceId } from "../../id.ts";
import { type Exchange, exchangeKey } from "../admission/exchange.ts";
import { addressKey, credentialKey, principalKey, traceIdKey } from "../call-context.ts";
import { ruleOf } from "./method-rule.ts";

/** Set by the first interceptor: from then on a failure is not one of decoding. */
export const decodedKey = createContextKey(false, { description: "request decoded" });

export function createRequestGate(authenticate: Authenticate): (context: HandlerContext) => Promise<void> {
  return async (context) => {
    context.values.set(traceIdKey, readTraceId(context.requestHeader.get("traceparent")) ?? newTraceId());
    correctDecodingErrors(context);
    const { scope } = ruleOf(context.method);
    const exchange = context.values.get(exchangeKey);
    if (scope === Scope.PUBLIC) return enterPublic(context, exchange);
    const authorization = context.requestHeader.get("authorization") ?? undefined;
    const authentication = await authenticate({
      authorization,
      origin: context.requestHeader.get("origin") ?? undefined,
      address: context.values.get(addressKey),
    });
    switch (authentication.kind) {
      case "anonymous":
        throw tokenInvalid();
      case "refused":
        exchange?.charge(refusedTokenCostBytes);
        throw tokenInvalid();
      case "slow-down":
        exchange?.charge(guessCostBytes);
        throw failure(ErrorReason.LIMIT_EXCEEDED, "too many failed tries: wait before the next one", {
          metadata: { limit: "failed authentications" },
          retryAfterMs: authentication.retryAfterMs,
        });
      case "authenticated":
        break;
    }
    if (!holdsScope(authentication.principal, scope)) throw scopeMissing(scope);
    context.values.set(principalKey, authentication.principal);
    exchange?.prove(authentication.principal);
    context.values.set(credentialKey, authorization?.slice("Bearer ".length) ?? "");
  };
}

export function scopeMissing(scope: Scope): ConnectError {
  const name = ScopeSchema.value[scope]?.name.replace("SCOPE_", "") ?? String(scope);
  return failure(ErrorReason.SCOPE_MISSING, `the token lacks the scope ${name}`, { metadata: { scope: name } });
}

/** What a token that is not valid costs its address, in bytes of its allowance: it was checked. */
const refusedTokenCostBytes = 4_096;
/** The same once many were not valid within a minute: who guesses is soon cut off, and waits longer with each connection. */
const guessCostBytes = 65_536;

function tokenInvalid(): ConnectError {
  return failure(ErrorReason.TOKEN_INVALID, "a valid token is required: send `authorization: Bearer <token>`");
}

/** The headers that say how a body or its messages are compressed, in the three protocols. */
const compressionHeaders = ["content-encoding", "connect-content-encoding", "grpc-encoding"];

function enterPublic({ requestHeader }: HandlerContext, exchange: Exchange | undefined): void {
  for (const name of compressionHeaders) {
    const encoding = requestHeader.get(name);
    if (encoding === null || encoding === "identity") continue;
    throw failure(ErrorReason.COMPRESSION_REFUSED, "nothing is inflated for a public RPC: send it as it is", {
      metadata: { encoding: encoding.slice(0, 64) },
    });
  }
  const refusal = exchange?.enterPublic();
  if (refusal !== undefined) throw refusal;
}

function readTraceId(traceparent: string | null): string | undefined {
  if (traceparent === null) return undefined;
  const traceId = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/.exec(traceparent)?.[1];
  return traceId === undefined || /^0+$/.test(traceId) ? undefined : traceId;
}

/**
 * A failure before the first interceptor is handed to the context's `abort` before it is answered. Its signal would not tell
 * of it when the call was over already, for example at its deadline.
 */
function correctDecodingErrors(context: HandlerContext & { abort?: (reason?: unknown) => void }): void {
  const { abort } = context;
  if (abort === undefined) return;
  context.abort = (reason) => {
    if (!context.values.get(decodedKey) && reason instanceof ConnectError) explainReadFailure(reason, context);
    abort(reason);
  };
}

/** Gives an error of reading or decoding a request its code, reason and field path, in place. */
export function explainReadFailure(error: ConnectError, context: Pick<HandlerContext, "method">): void {
  if (error.details.length > 0) return;
  const explained = explanationOf(error, context);
  if (explained === undefined) return;
  Object.assign(error, { code: explained.code, rawMessage: explained.rawMessage, message: explained.message });
  error.details.push(...explained.details);
}

function explanationOf(error: ConnectError, context: Pick<HandlerContext, "method">): ConnectError | undefined {
  switch (error.code) {
    case Code.ResourceExhausted: {
      const limit = ruleOf(context.method).maxRequestBytes;
      return failure(ErrorReason.MESSAGE_TOO_LARGE, `the message is larger than ${limit} bytes: send less, or a blob`, {
        metadata: { limit_bytes: String(limit) },
      });
    }
    case Code.Internal:
    case Code.InvalidArgument: {
      const key = /key "([^"]{1,256})" is unknown/.exec(error.rawMessage)?.[1];
      const detail = key === undefined ? {} : { fields: [{ path: key, problem: "there is no such field" }] };
      return failure(
        ErrorReason.MALFORMED_MESSAGE,
        `the request can't be decoded: ${error.rawMessage.slice(0, 512)}`,
        detail,
      );
    }
    default:
      return undefined;
  }
}
