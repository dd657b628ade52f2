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
import type { SignedTokens } from "./signed-tokens.ts";

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
  readonly localToken: string;
  readonly tokens: SignedTokens;
  readonly clock: Clock;
  /** Failed tries of one address in a minute before it must wait. Default in configuration: 30. */
  readonly maxFailedPerMinute: number;
}

export function createAuthenticate(options: AuthenticateOptions): Authenticate {
  const localPrincipal: Principal = {
    tenant: localTenant,
    name: "user:local",
    scopes: new Set([AuthScope.ADMIN]),
    origin: undefined,
    run: undefined,
  };
  const localDigest = digest(options.localToken);
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
    const principal = token === undefined ? undefined : await principalOf(token);
    if (principal !== undefined && (principal.origin === undefined || principal.origin === origin)) {
      return { kind: "authenticated", principal };
    }
    if (address === undefined) return { kind: "refused" };
    const nowMs = options.clock.monotonicMs();
    const failed = failures.get(address);
    const isLimited = failed !== undefined && failed.count >= options.maxFailedPerMinute;
    const retryAfterMs = isLimited ? failed.sinceMs + windowMs - nowMs : 0;
    if (retryAfterMs > 0) return { kind: "slow-down", retryAfterMs };
    countFailure(address, nowMs);
    return { kind: "refused" };
  };

  async function principalOf(token: string): Promise<Principal | undefined> {
    // How long the local token is, is no secret; a digest for every call would cost more than the rest of this.
    const isLocal = token.length === options.localToken.length && timingSafeEqual(digest(token), localDigest);
    if (isLocal) return localPrincipal;
    return options.tokens.verify(token, ["hop", "web", "run"]);
  }
}

/** Equal lengths for a comparison in constant time. */
function digest(token: string): Buffer {
  return hash("sha256", token, "buffer");
}

/**
 * Whether a principal may call an RPC that asks for this scope. ADMIN includes every scope but WORKER; UNSPECIFIED, which
 * an RPC without the option has, is held by nobody.
 */
export function holdsScope(principal: Principal, scope: AuthScope): boolean {
  if (scope === AuthScope.UNSPECIFIED) return false;
  if (principal.scopes.has(scope)) return true;
  return principal.scopes.has(AuthScope.ADMIN) && scope !== AuthScope.WORKER;
}
