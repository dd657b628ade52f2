/**
 * The tokens that the mesh signs itself (HS256): short-lived assertions between its own services, tokens of the web
 * page bound to its origin, and run tokens that open one run. The only door to jose.
 *
 * Keeps: algorithm, issuer, audience and expiry are always checked; a token of one kind is no token of another.
 */
import { createHmac } from "node:crypto";
import { jwtVerify } from "jose";
import type { Scope as AuthScope } from "../../../gen/atoll/auth/v1/options_pb.ts";
import type { Clock } from "../clock.ts";
import type { Principal } from "./principal.ts";

/** hop: between services; web: the page; run: one run of one session. */
export type TokenKind = "hop" | "web" | "run";

/** How long a token of each kind lives, in seconds. A worker's run tokens are renewed with its lease. */
export const tokenTtlS: Readonly<Record<TokenKind, number>> = { hop: 60, web: 30 * 24 * 3600, run: 24 * 3600 };

export interface SignedTokens {
  sign(kind: TokenKind, principal: Principal): Promise<string>;
  /** Undefined when it is no valid token of one of these kinds; no reason is given. */
  verify(token: string, kinds: readonly TokenKind[]): Promise<Principal | undefined>;
}

const issuer = "atoll";
/** Tokens whose outcome is remembered, so that a hop costs no signature: each entry well under 1 KiB. */
const maxRemembered = 2_000;

interface Remembered {
  readonly principal: Principal;
  readonly kind: TokenKind;
  readonly expiresAtS: number;
}

export function createSignedTokens(signingKey: Uint8Array, clock: Clock): SignedTokens {
  const remembered = new Map<string, Remembered>();
  const remember = (token: string, entry: Remembered): void => {
    if (remembered.size >= maxRemembered) {
      const oldest = remembered.keys().next();
      if (oldest.done === false) remembered.delete(oldest.value);
    }
    remembered.set(token, entry);
  };
  return {
    async sign(kind, principal) {
      const nowS = Math.floor(clock.nowMs() / 1000);
      const expiresAtS = nowS + tokenTtlS[kind];
      const token = signHs256(signingKey, {
        iss: issuer,
        aud: `atoll:${kind}`,
        sub: principal.name,
        iat: nowS,
        exp: expiresAtS,
        ten: principal.tenant,
        scp: [...principal.scopes],
        ...(principal.origin === undefined ? {} : { org: principal.origin }),
        ...(principal.run === undefined ? {} : { ses: principal.run.sessionId, run: principal.run.runId }),
      });
      remember(token, { principal, kind, expiresAtS });
      return token;
    },

    async verify(token, kinds) {
      const nowS = clock.nowMs() / 1000;
      const known = remembered.get(token);
      if (known !== undefined) {
        return known.expiresAtS > nowS && kinds.includes(known.kind) ? known.principal : undefined;
      }
      if (!looksSigned(token)) return undefined;
      try {
        const { payload } = await jwtVerify(token, signingKey, {
          algorithms: ["HS256"],
          issuer,
          audience: kinds.map((kind) => `atoll:${kind}`),
          requiredClaims: ["exp", "sub", "iat", "ten", "scp"],
          clockTolerance: 5,
          currentDate: new Date(clock.nowMs()),
        });
        const kind = kinds.find((candidate) => payload.aud === `atoll:${candidate}`);
        const principal = readClaims(payload);
        if (kind === undefined || principal === undefined || payload.exp === undefined) return undefined;
        remember(token, { principal, kind, expiresAtS: payload.exp });
        return principal;
      } catch {
        // Every reason to refuse a token is the same to the caller, so that an attacker learns nothing from it.
        return undefined;
      }
    },
  };
}

const header = Buffer.from(JSON.stringify({ alg: "HS256", typ: "JWT" })).toString("base64url");

/** Every run that is offered is signed for: at once, where jose would wait for a thread of the pool. */
function signHs256(key: Uint8Array, claims: Readonly<Record<string, unknown>>): string {
  const signed = `${header}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}`;
  return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
}

function looksSigned(token: string): boolean {
  return token.length <= 4096 && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token);
}

function readClaims(claims: Readonly<Record<string, unknown>>): Principal | undefined {
  const { sub, ten, scp, org, ses, run } = claims;
  if (typeof sub !== "string" || typeof ten !== "string" || !Array.isArray(scp)) return undefined;
  if (!scp.every((scope): scope is AuthScope => Number.isInteger(scope))) return undefined;
  return {
    tenant: ten,
    name: sub,
    scopes: new Set(scp),
    origin: typeof org === "string" ? org : undefined,
    run: typeof ses === "string" && typeof run === "string" ? { sessionId: ses, runId: run } : undefined,
  };
}
