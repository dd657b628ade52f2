/**
 * Turns a bearer token into a principal.
 *
 * Keeps: every refusal is the same answer; failed tries of one address are limited, loopback included, and yet keep no
 * right token out: the limit is on what a wrong one is told, and what it costs its address (request-gate.ts); a web token works only from the origin that it is bound to; a token in a query string is
 * never looked at.
 */
import { hash, timingSafeEqual } from "node:crypto";
import { Scope as AuthScope } from "../../../gen/atoll/auth/v1/options_pb.ts";
import type { Clock } from "../clock.ts";
import { localTenant, type Principal } from "./principal.ts";
import type { TokenKind, TokenVerdict, TokenVerifier } from "./signed-tokens.ts";

export interface Credentials {
  /** The value of the `authorization` header; undefined when there is none. */
  readonly authorization: string | undefined;
  /** The value of the `origin` header; undefined when there is none. */
  readonly origin: string | undefined;
  /** The caller's canonical address; undefined inside the process, where nobody guesses. */
  readonly address: string | undefined;
}

export type Authentication =
  | { readonly kind: "authenticated"; readonly principal: Principal }
  | { readonly kind: "anonymous" }
  | { readonly kind: "refused" }
  /** Too many failed tries of this address. */
  | { readonly kind: "slow-down"; readonly retryAfterMs: number };

export type Authenticate = (credentials: Credentials) => Promise<Authentication>;

/** Addresses whose failures are counted at the same time; the oldest is forgotten beyond it. */
const maxAddresses = 10_000;
const windowMs = 60_000;

export interface AuthenticateOptions {
  /** Undefined in a process that only our own services call. */
  readonly localToken: string | undefined;
  /** Opens Attach and nothing else; undefined where nobody attaches. */
  readonly workerToken?: string | undefined;
  readonly tokens: TokenVerifier;
  readonly clock: Clock;
  /** Failed tries of one address in a minute before it must wait. Default in configuration: 30. */
  readonly maxFailedPerMinute: number;
}

export function createAuthenticate(options: AuthenticateOptions): Authenticate {
  const localPrincipal: Principal = {
    tenant: localTenant,
    name: "user:local",
    scopes: new Set([AuthScope.ADMIN, AuthScope.OPERATOR]),
    origin: undefined,
    run: undefined,
  };
  const workerPrincipal: Principal = { ...localPrincipal, name: "worker", scopes: new Set([AuthScope.WORKER]) };
  /** By their lengths, which are no secret; a digest for every call would cost more than the rest of this. */
  const fixed = [
    ...(options.localToken === undefined ? [] : [{ token: options.localToken, principal: localPrincipal }]),
    ...(options.workerToken === undefined ? [] : [{ token: options.workerToken, principal: workerPrincipal }]),
  ].map(({ token, principal }) => ({ length: token.length, digest: digest(token), principal }));
  const failures = new Map<string, { count: number; sinceMs: number }>();

  const countFailure = (address: string, nowMs: number): void => {
    const entry = failures.get(address);
    if (entry !== undefined && nowMs - entry.sinceMs < windowMs) {
      entry.count += 1;
      return;
    }
    if (failures.size >= maxAddresses) {
      const oldest = failures.keys().next();
      if (oldest.done === false) failures.delete(oldest.value);
    }
    failures.delete(address);
    failures.set(address, { count: 1, sinceMs: nowMs });
  };

  return async ({ authorization, origin, address }) => {
    if (authorization === undefined) return { kind: "anonymous" };
    const token = /^Bearer ([\x21-\x7e]{1,4096})$/i.exec(authorization)?.[1];
    // Before anything is counted: whatever others at its address try, a right token passes.
    const verdict = token === undefined ? ({ kind: "foreign" } as const) : await judge(token);
    const principal = verdict.kind === "good" ? verdict.principal : undefined;
    if (principal !== undefined && (principal.origin === undefined || principal.origin === origin)) {
      return { kind: "authenticated", principal };
    }
    if (address === undefined) return { kind: "refused" };
    const nowMs = options.clock.monotonicMs();
    const failed = failures.get(address);
    const isLimited = failed !== undefined && failed.count >= options.maxFailedPerMinute;
    const retryAfterMs = isLimited ? failed.sinceMs + windowMs - nowMs : 0;
    // What the mesh signed is no guess: a clock that is set lets many tokens end at once.
    if (verdict.kind === "expired") return { kind: "refused" };
    if (retryAfterMs > 0) return { kind: "slow-down", retryAfterMs };
    countFailure(address, nowMs);
    return { kind: "refused" };
  };

  async function judge(token: string): Promise<TokenVerdict> {
    const known = fixed.find(({ length, digest: of }) => length === token.length && timingSafeEqual(digest(token), of));
    return known === undefined
      ? options.tokens.judge(token, signedKinds)
      : { kind: "good", principal: known.principal };
  }
}

const signedKinds: readonly TokenKind[] = ["hop", "agent", "web", "run"];

/** Equal lengths for a comparison in constant time. */
function digest(token: string): Buffer {
  return hash("sha256", token, "buffer");
}

/** What ADMIN does not include: other people's processes, and what is no tenant's. */
const apartFromAdmin: ReadonlySet<AuthScope> = new Set([AuthScope.WORKER, AuthScope.OPERATOR]);

/**
 * Whether a principal may call an RPC that asks for this scope. ADMIN includes every scope but WORKER and OPERATOR;
 * UNSPECIFIED, which an RPC without the option has, is held by nobody.
 */
export function holdsScope(principal: Pick<Principal, "scopes">, scope: AuthScope): boolean {
  if (scope === AuthScope.UNSPECIFIED) return false;
  if (principal.scopes.has(scope)) return true;
  return principal.scopes.has(AuthScope.ADMIN) && !apartFromAdmin.has(scope);
}
