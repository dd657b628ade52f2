/**
 * The tokens that the mesh signs itself (Ed25519): short-lived assertions between its own services, tokens of the web
 * page bound to its origin, and run tokens that open one run. Who only checks them holds the public key alone. The only
 * door to jose.
 *
 * Keeps: algorithm, issuer, audience and expiry are always checked; a token of one kind is no token of another; a run's
 * token without a whole run in it opens nothing.
 */
import { type KeyObject, sign as signBytes } from "node:crypto";
import { errors, jwtVerify } from "jose";
import type { Scope as AuthScope } from "../../../gen/atoll/auth/v1/options_pb.ts";
import type { Clock } from "../clock.ts";
import type { Principal, RunGrant } from "./principal.ts";
import { deriveSigningKeys } from "./signing-keys.ts";

/**
 * hop: between services; agent: a call of the agent service, which hands it on to the tool router for the calls that its
 * loop makes for the caller; web: the page; run: one run of one session.
 */
export type TokenKind = "hop" | "agent" | "web" | "run";

/**
 * How long a token of each kind lives, in seconds. A worker's run tokens are renewed with its lease. What the agent service
 * was called with is never renewed: it outlives, from half of its life on, the longest run (`agents.*.maxDurationMs`, by
 * default an hour).
 */
export const tokenTtlS: Readonly<Record<TokenKind, number>> = {
  hop: 60,
  agent: 2 * 3600,
  web: 30 * 24 * 3600,
  run: 600,
};

/** What a token turned out to be. */
export type TokenVerdict =
  | { readonly kind: "good"; readonly principal: Principal }
  /** The mesh signed it, and its time is over by this machine's clock: nobody guessed it. */
  | { readonly kind: "expired" }
  | { readonly kind: "foreign" };

export interface TokenVerifier {
  /** Undefined when it is no valid token of one of these kinds; no reason is given. */
  verify(token: string, kinds: readonly TokenKind[]): Promise<Principal | undefined>;
  /** The same, for who must know whether a token that is refused was a guess. */
  judge(token: string, kinds: readonly TokenKind[]): Promise<TokenVerdict>;
}

export interface SignedTokens extends TokenVerifier {
  sign(kind: TokenKind, principal: Principal): Promise<string>;
}

const issuer = "atoll";
const algorithm = "EdDSA";
/** Tokens whose outcome is remembered, so that a hop costs no signature: each entry well under 1 KiB. */
const maxRemembered = 2_000;

interface Remembered {
  readonly principal: Principal;
  readonly kind: TokenKind;
  readonly expiresAtS: number;
}

/** For a process that signs. @param secret The content of `mesh.key`. */
export function createSignedTokens(secret: Uint8Array, clock: Clock): SignedTokens {
  const { privateKey, publicKey } = deriveSigningKeys(secret);
  const memory = new TokenMemory();
  return {
    ...verifierOf(publicKey, memory, clock),
    async sign(kind, principal) {
      const nowS = Math.floor(clock.nowMs() / 1000);
      const expiresAtS = nowS + tokenTtlS[kind];
      const { run } = principal;
      const token = signToken(privateKey, {
        iss: issuer,
        aud: `atoll:${kind}`,
        sub: principal.name,
        iat: nowS,
        exp: expiresAtS,
        ten: principal.tenant,
        scp: [...principal.scopes],
        ...(principal.origin === undefined ? {} : { org: principal.origin }),
        ...(principal.sessionId === undefined ? {} : { one: principal.sessionId }),
        ...(run === undefined ? {} : { ses: run.sessionId, run: run.runId, agt: run.agentId, epo: run.epoch }),
      });
      memory.put(token, { principal, kind, expiresAtS });
      return token;
    },
  };
}

/** For a process that signs nothing. */
export function createTokenVerifier(publicKey: KeyObject, clock: Clock): TokenVerifier {
  return verifierOf(publicKey, new TokenMemory(), clock);
}

class TokenMemory {
  readonly #entries = new Map<string, Remembered>();

  get(token: string): Remembered | undefined {
    return this.#entries.get(token);
  }

  put(token: string, entry: Remembered): void {
    if (this.#entries.size >= maxRemembered) {
      const oldest = this.#entries.keys().next();
      if (oldest.done === false) this.#entries.delete(oldest.value);
    }
    this.#entries.set(token, entry);
  }
}

function verifierOf(publicKey: KeyObject, memory: TokenMemory, clock: Clock): TokenVerifier {
  const judge: TokenVerifier["judge"] = async (token, kinds) => {
    const known = memory.get(token);
    if (known !== undefined) {
      if (!kinds.includes(known.kind)) return { kind: "foreign" };
      const isOver = known.expiresAtS <= clock.nowMs() / 1000;
      return isOver ? { kind: "expired" } : { kind: "good", principal: known.principal };
    }
    if (!looksSigned(token)) return { kind: "foreign" };
    try {
      const { payload } = await jwtVerify(token, publicKey, {
        algorithms: [algorithm],
        issuer,
        audience: kinds.map((kind) => `atoll:${kind}`),
        requiredClaims: ["exp", "sub", "iat", "ten", "scp"],
        clockTolerance: 5,
        currentDate: new Date(clock.nowMs()),
      });
      const kind = kinds.find((candidate) => payload.aud === `atoll:${candidate}`);
      const principal = kind === undefined ? undefined : readClaims(payload, kind);
      if (kind === undefined || principal === undefined || payload.exp === undefined) return { kind: "foreign" };
      memory.put(token, { principal, kind, expiresAtS: payload.exp });
      return { kind: "good", principal };
    } catch (error) {
      // Looked at last: signature, issuer and audience were right. The caller is told no reason, so that an attacker
      // learns nothing from it.
      return { kind: error instanceof errors.JWTExpired ? "expired" : "foreign" };
    }
  };
  return {
    judge,
    async verify(token, kinds) {
      const verdict = await judge(token, kinds);
      return verdict.kind === "good" ? verdict.principal : undefined;
    },
  };
}

const header = Buffer.from(JSON.stringify({ alg: algorithm, typ: "JWT" })).toString("base64url");

/** Every run that is offered is signed for: at once, where jose would wait for a thread of the pool. */
function signToken(key: KeyObject, claims: Readonly<Record<string, unknown>>): string {
  const signed = `${header}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}`;
  return `${signed}.${signBytes(null, Buffer.from(signed), key).toString("base64url")}`;
}

function looksSigned(token: string): boolean {
  return token.length <= 4096 && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token);
}

function readClaims(claims: Readonly<Record<string, unknown>>, kind: TokenKind): Principal | undefined {
  const { sub, ten, scp, org, one } = claims;
  if (one !== undefined && typeof one !== "string") return undefined;
  if (typeof sub !== "string" || typeof ten !== "string" || !Array.isArray(scp)) return undefined;
  if (!scp.every((scope): scope is AuthScope => Number.isInteger(scope))) return undefined;
  const run = readGrant(claims);
  // A token that names a part of a run must never open more than one that names all of it.
  if (run === "broken" || (kind === "run" && run === undefined)) return undefined;
  const origin = typeof org === "string" ? org : undefined;
  const bound = one === undefined ? {} : { sessionId: one };
  return { tenant: ten, name: sub, scopes: new Set(scp), origin, run, ...bound };
}

function readGrant({ ses, run, agt, epo }: Readonly<Record<string, unknown>>): RunGrant | undefined | "broken" {
  if ([ses, run, agt, epo].every((claim) => claim === undefined)) return undefined;
  if (typeof ses !== "string" || typeof run !== "string" || typeof agt !== "string") return "broken";
  if (!Number.isSafeInteger(epo)) return "broken";
  return { sessionId: ses, runId: run, agentId: agt, epoch: epo as number };
}
