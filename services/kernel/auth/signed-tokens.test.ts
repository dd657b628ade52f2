import { createHmac, generateKeyPairSync, type KeyObject, sign as signBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { Scope } from "../../../gen/atoll/auth/v1/options_pb.ts";
import { manualClock } from "../manual-clock.fixture.ts";
import type { Principal } from "./principal.ts";
import { createSignedTokens, createTokenVerifier, type TokenKind, tokenTtlS } from "./signed-tokens.ts";
import { deriveSigningKeys } from "./signing-keys.ts";

const key = new Uint8Array(32).fill(7);
const { privateKey: ours, publicKey } = deriveSigningKeys(key);
const { privateKey: another } = generateKeyPairSync("ed25519");
const publicBytes = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
const kinds: readonly TokenKind[] = ["hop", "agent", "web", "run"];
const personKinds = kinds.filter((kind) => kind !== "run");
const person: Principal = {
  tenant: "local",
  name: "user:ada",
  scopes: new Set([Scope.SESSIONS_READ, Scope.SESSIONS_WRITE]),
  origin: "http://127.0.0.1:18789",
  run: undefined,
};
const ofRun: Principal = {
  tenant: "local",
  name: "user:ada",
  scopes: new Set([Scope.TOOLS_CALL]),
  origin: undefined,
  run: { sessionId: "ses_1", runId: "run_1", agentId: "main", epoch: 3 },
};

/** Another process of the same mesh: it shares the key and remembers nothing. */
function meshOf(clock = manualClock()) {
  return { clock, signer: createSignedTokens(key, clock), reader: createSignedTokens(key, clock) };
}

interface Claims {
  readonly [claim: string]: unknown;
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString("base64url");
}

/** A token as an attacker writes it, signed with whatever key is given. */
function handMade(header: object, claims: Claims, signingKey: KeyObject | Uint8Array | undefined): string {
  const input = `${encode(header)}.${encode(claims)}`;
  if (signingKey === undefined) return `${input}.`;
  const signature =
    signingKey instanceof Uint8Array
      ? createHmac("sha256", signingKey).update(input).digest()
      : signBytes(null, Buffer.from(input), signingKey);
  return `${input}.${signature.toString("base64url")}`;
}

function goodClaims(nowMs: number, changes: Claims = {}): Claims {
  const nowS = Math.floor(nowMs / 1000);
  const base = {
    sub: "user:ada",
    ten: "local",
    scp: [Scope.ADMIN],
    iss: "atoll",
    aud: "atoll:web",
    iat: nowS,
    exp: nowS + 600,
  };
  return { ...base, ...changes };
}

const eddsa = { alg: "EdDSA", typ: "JWT" };

describe("tokens that the mesh signs", () => {
  it.each(kinds)("gives another process of the mesh the whole principal of a %s token", async (kind) => {
    const { signer, reader } = meshOf();
    if (kind !== "run") expect(await reader.verify(await signer.sign(kind, person), [kind])).toEqual(person);
    expect(await reader.verify(await signer.sign(kind, ofRun), [kind])).toEqual(ofRun);
  });

  it("accepts what a test writes by hand with the right key and claims, so that the refusals below mean something", async () => {
    const { clock, reader } = meshOf();
    expect(await reader.verify(handMade(eddsa, goodClaims(clock.nowMs()), ours), ["web"])).toMatchObject({
      name: "user:ada",
    });
  });

  it("takes a token of one kind for no other kind, remembered or not", async () => {
    const { signer, reader } = meshOf();
    for (const kind of kinds) {
      const others = kinds.filter((other) => other !== kind);
      const who = kind === "run" ? ofRun : person;
      const token = await signer.sign(kind, who);
      expect(await signer.verify(token, others)).toBeUndefined();
      expect(await reader.verify(token, others)).toBeUndefined();
      expect(await reader.verify(token, kinds)).toEqual(who);
      expect(await reader.verify(token, others)).toBeUndefined();
    }
  });

  it.each([
    ["no algorithm and no signature", (nowMs: number) => handMade({ alg: "none" }, goodClaims(nowMs), undefined)],
    ["no algorithm and a signature", (nowMs: number) => handMade({ alg: "none" }, goodClaims(nowMs), ours)],
    ["an empty signature", (nowMs: number) => `${handMade(eddsa, goodClaims(nowMs), undefined)}`],
    ["another key", (nowMs: number) => handMade(eddsa, goodClaims(nowMs), another)],
    ["the secret itself as a key for HMAC", (nowMs: number) => handMade({ alg: "HS256" }, goodClaims(nowMs), key)],
    ["the public key as a key for HMAC", (nowMs: number) => handMade({ alg: "HS256" }, goodClaims(nowMs), publicBytes)],
    [
      "the algorithm of HMAC and a right signature",
      (nowMs: number) => handMade({ alg: "HS256" }, goodClaims(nowMs), ours),
    ],
    ["a run's audience and no run", (nowMs: number) => handMade(eddsa, goodClaims(nowMs, { aud: "atoll:run" }), ours)],
    [
      "a part of a run",
      (nowMs: number) => handMade(eddsa, goodClaims(nowMs, { aud: "atoll:hop", ses: "ses_1", run: "run_1" }), ours),
    ],
    [
      "an epoch that is no number",
      (nowMs: number) =>
        handMade(eddsa, goodClaims(nowMs, { ses: "ses_1", run: "run_1", agt: "main", epo: "1" }), ours),
    ],
    [
      "a key id that is a path",
      (nowMs: number) => handMade({ ...eddsa, kid: "/dev/null" }, goodClaims(nowMs), another),
    ],
    ["another issuer", (nowMs: number) => handMade(eddsa, goodClaims(nowMs, { iss: "elsewhere" }), ours)],
    ["no issuer", (nowMs: number) => handMade(eddsa, goodClaims(nowMs, { iss: undefined }), ours)],
    ["another audience", (nowMs: number) => handMade(eddsa, goodClaims(nowMs, { aud: "atoll" }), ours)],
    ["no audience", (nowMs: number) => handMade(eddsa, goodClaims(nowMs, { aud: undefined }), ours)],
    [
      "several audiences",
      (nowMs: number) => handMade(eddsa, goodClaims(nowMs, { aud: ["atoll:web", "atoll:hop"] }), ours),
    ],
    ["no expiry", (nowMs: number) => handMade(eddsa, goodClaims(nowMs, { exp: undefined }), ours)],
    ["an expiry that is a text", (nowMs: number) => handMade(eddsa, goodClaims(nowMs, { exp: "never" }), ours)],
    ["an expiry in the past", (nowMs: number) => handMade(eddsa, goodClaims(nowMs, { exp: nowMs / 1000 - 6 }), ours)],
    ["no subject", (nowMs: number) => handMade(eddsa, goodClaims(nowMs, { sub: undefined }), ours)],
    ["no tenant", (nowMs: number) => handMade(eddsa, goodClaims(nowMs, { ten: undefined }), ours)],
    ["no scopes", (nowMs: number) => handMade(eddsa, goodClaims(nowMs, { scp: undefined }), ours)],
    ["scopes that are no numbers", (nowMs: number) => handMade(eddsa, goodClaims(nowMs, { scp: ["ADMIN"] }), ours)],
    ["nothing", () => ""],
    ["a word", () => "secret"],
    ["two parts", () => "aaaa.bbbb"],
    ["10 KB", () => `${"a".repeat(5_000)}.${"b".repeat(5_000)}.c`],
  ])("refuses a token with %s, and gives no reason", async (_case, make) => {
    const { clock, reader } = meshOf();
    expect(await reader.verify(make(clock.nowMs()), kinds)).toBeUndefined();
  });

  it("refuses an RSA token", async () => {
    const { clock, reader } = meshOf();
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const input = `${encode({ alg: "RS256" })}.${encode(goodClaims(clock.nowMs()))}`;
    const token = `${input}.${signBytes("sha256", Buffer.from(input), privateKey).toString("base64url")}`;
    expect(await reader.verify(token, kinds)).toBeUndefined();
  });

  it("refuses a token in which any one character was changed", async () => {
    const { signer, reader } = meshOf();
    const token = await signer.sign("web", person);
    // The last character carries four bits of the signature; some others decode to the same bytes.
    for (let at = 0; at < token.length - 1; at += 7) {
      if (token[at] === ".") continue;
      const changed = `${token.slice(0, at)}${token[at] === "A" ? "B" : "A"}${token.slice(at + 1)}`;
      expect(await reader.verify(changed, kinds), `character ${at}`).toBeUndefined();
    }
  });

  it.each(personKinds)("lets a %s token end at its time, also where it is remembered", async (kind) => {
    const { clock, signer, reader } = meshOf();
    const token = await signer.sign(kind, person);
    expect(await reader.verify(token, kinds)).toEqual(person);
    clock.advance(tokenTtlS[kind] * 1000 - 1_000);
    expect(await signer.verify(token, kinds)).toEqual(person);
    expect(await reader.verify(token, kinds)).toEqual(person);
    clock.advance(1_000);
    expect(await signer.verify(token, kinds)).toBeUndefined();
    expect(await reader.verify(token, kinds)).toBeUndefined();
    // Whoever counts guesses is told that it was none, by who remembers it and by who does not.
    clock.advance(10_000);
    const stranger = createTokenVerifier(publicKey, clock);
    for (const each of [signer, reader, stranger]) expect(await each.judge(token, kinds)).toEqual({ kind: "expired" });
    expect(await stranger.judge(`${token.slice(0, -9)}AAAAAAAAA`, kinds)).toEqual({ kind: "foreign" });
  });

  it("keeps knowing a token that it no longer remembers", async () => {
    const { signer } = meshOf();
    const first = await signer.sign("web", person);
    for (let n = 0; n < 2_100; n++) await signer.sign("hop", { ...person, name: `user:${n}` });
    expect(await signer.verify(first, ["web"])).toEqual(person);
  });
});
