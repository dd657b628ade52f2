/**
 * What travels with a call: who calls, for which trace, and until when (R6). Handlers read it here; `onward` hands it to
 * the next hop.
 */
import { type CallOptions, type ContextValues, createContextKey, createContextValues } from "@connectrpc/connect";
import type { ConnectionEnds } from "../auth/mesh-proof.ts";
import type { Principal } from "../auth/principal.ts";
import { ErrorReason, failure } from "../errors.ts";
import type { Scope } from "../store/scope.ts";

/** Who calls; undefined on public RPCs. Set by the request gate. */
export const principalKey = createContextKey<Principal | undefined>(undefined, { description: "principal" });
/** The token with which the caller came: what a process that signs nothing hands on. Set by the request gate. */
export const credentialKey = createContextKey("", { description: "credential" });
/** W3C trace id, 32 lowercase hexadecimal digits. Set by the request gate. */
export const traceIdKey = createContextKey("", { description: "trace id" });
/** The caller's canonical address; undefined inside the process. Set by the edge. */
export const addressKey = createContextKey<string | undefined>(undefined, { description: "address" });

/** The connection that the call came over; gives undefined inside the process. Set by the edge. */
export const connectionEndsKey = createContextKey<() => ConnectionEnds | undefined>(() => undefined, {
  description: "ends of the connection",
});

/** The part of a HandlerContext that this file reads. */
export interface CallContext {
  readonly values: ContextValues;
  readonly signal: AbortSignal;
  readonly timeoutMs: () => number | undefined;
}

/** The authenticated caller. Errors: TOKEN_INVALID when there is none, which the gate prevents. */
export function principalOf(context: Pick<CallContext, "values">): Principal {
  const principal = context.values.get(principalKey);
  if (principal === undefined) throw failure(ErrorReason.TOKEN_INVALID, "a valid token is required");
  return principal;
}

/** On whose behalf ports are called. */
export function scopeOf(context: Pick<CallContext, "values">): Scope {
  const principal = principalOf(context);
  return { tenant: principal.tenant, principal: principal.name };
}

export function traceIdOf(context: Pick<CallContext, "values">): string {
  return context.values.get(traceIdKey);
}

/** Options for a call to a peer on behalf of this one: same principal, trace, deadline and cancellation. */
export function onward(context: CallContext): CallOptions {
  const timeoutMs = context.timeoutMs();
  return {
    contextValues: callValues(context.values.get(principalKey), context.values.get(traceIdKey)).set(
      credentialKey,
      context.values.get(credentialKey),
    ),
    signal: context.signal,
    ...(timeoutMs === undefined ? {} : { timeoutMs: Math.max(1, timeoutMs) }),
  };
}

/** Context values for a call that starts here, for example by a worker. */
export function callValues(principal: Principal | undefined, traceId: string): ContextValues {
  return createContextValues().set(principalKey, principal).set(traceIdKey, traceId);
}
