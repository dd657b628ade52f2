import { createHmac, generateKeyPairSync, sign as signBytes } from "node:crypto";
import { SignJWT } from "jose";
import { describe, expect, it } from "vitest";
import { Scope } from "../../../gen/atoll/auth/v1/options_pb.ts";
import { manualClock } from "../manual-clock.fixture.ts";
import type { Principal } from "./principal.ts";
import { createSignedTokens, type TokenKind, tokenTtlS } from "./signed-tokens.ts";

const key = new Uint8Array(32).fill(7);
const kinds: readonly TokenKind[] = ["hop", "web", "run"];
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
  run: { sessionId: "ses_1", runId: "run_1" },
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
function handMade(header: object, claims: Claims, signingKey: Uint8Array | undefined): string {
  const input = `${encode(header)}.${encode(claims)}`;
  const signature = signingKey === undefined ? "" : createHmac("sha256", signingKey).update(input).digest("base64url");
  return `${input}.${signature}`;
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

const hs256 = { alg: "HS256", typ: "JWT" };

describe("tokens that the mesh signs", () => {
  it.each(kinds)("gives another process of the mesh the whole principal of a %s token", async (kind) => {
    const { signer, reader } = meshOf();
    expect(await reader.verify(await signer.sign(kind, person), [kind])).toEqual(person);
    expect(await reader.verify(await signer.sign(kind, ofRun), [kind])).toEqual(ofRun);
  });

  it("accepts what a test writes by hand with the right key and claims, so that the refusals below mean something", async () => {
    const { clock, reader } = meshOf();
    expect(await reader.verify(handMade(hs256, goodClaims(clock.nowMs()), key), ["web"])).toMatchObject({
      name: "user:ada",
    });
  });

  it("takes a token of one kind for no other kind, remembered or not", async () => {
    const { signer, reader } = meshOf();
    for (const kind of kinds) {
      const others = kinds.filter((other) => other !== kind);
      const token = await signer.sign(kind, person);
      expect(await signer.verify(token, others)).toBeUndefined();
      expect(await reader.verify(token, others)).toBeUndefined();
      expect(await reader.verify(token, kinds)).toEqual(person);
      expect(await reader.verify(token, others)).toBeUndefined();
    }
  });

  it.each([
    ["no algorithm and no signature", (nowMs: number) => handMade({ alg: "none" }, goodClaims(nowMs), undefined)],
    ["no algorithm and a signature", (nowMs: number) => handMade({ alg: "none" }, goodClaims(nowMs), key)],
    ["an empty signature", (nowMs: number) => `${handMade(hs256, goodClaims(nowMs), undefined)}`],
    ["another key", (nowMs: number) => handMade(hs256, goodClaims(nowMs), new Uint8Array(32))],
    [
      "a key id that is a path",
      (nowMs: number) => handMade({ ...hs256, kid: "/dev/null" }, goodClaims(nowMs), new Uint8Array()),
    ],
    ["another issuer", (nowMs: number) => handMade(hs256, goodClaims(nowMs, { iss: "elsewhere" }), key)],
    ["no issuer", (nowMs: number) => handMade(hs256, goodClaims(nowMs, { iss: undefined }), key)],
    ["another audience", (nowMs: number) => handMade(hs256, goodClaims(nowMs, { aud: "atoll" }), key)],
    ["no audience", (nowMs: number) => handMade(hs256, goodClaims(nowMs, { aud: undefined }), key)],
    [
      "several audiences",
      (nowMs: number) => handMade(hs256, goodClaims(nowMs, { aud: ["atoll:web", "atoll:hop"] }), key),
    ],
    ["no expiry", (nowMs: number) => handMade(hs256, goodClaims(nowMs, { exp: undefined }), key)],
    ["an expiry that is a text", (nowMs: number) => handMade(hs256, goodClaims(nowMs, { exp: "never" }), key)],
    ["an expiry in the past", (nowMs: number) => handMade(hs256, goodClaims(nowMs, { exp: nowMs / 1000 - 6 }), key)],
    ["no subject", (nowMs: number) => handMade(hs256, goodClaims(nowMs, { sub: undefined }), key)],
    ["no tenant", (nowMs: number) => handMade(hs256, goodClaims(nowMs, { ten: undefined }), key)],
    ["no scopes", (nowMs: number) => handMade(hs256, goodClaims(nowMs, { scp: undefined }), key)],
    ["scopes that are no numbers", (nowMs: number) => handMade(hs256, goodClaims(nowMs, { scp: ["ADMIN"] }), key)],
    ["nothing", () => ""],
    ["a word", () => "secret"],
    ["two parts", () => "aaaa.bbbb"],
    ["10 KB", () => `${"a".repeat(5_000)}.${"b".repeat(5_000)}.c`],
  ])("refuses a token with %s, and gives no reason", async (_case, make) => {
    const { clock, reader } = meshOf();
    expect(await reader.verify(make(clock.nowMs()), kinds)).toBeUndefined();
  });

  it.each(["HS384", "HS512"])("refuses %s, though the key is right", async (alg) => {
    const { clock, reader } = meshOf();
    const nowS = Math.floor(clock.nowMs() / 1000);
    const claims = { ten: "local", scp: [Scope.ADMIN] };
    const token = new SignJWT(claims)
      .setProtectedHeader({ alg })
      .setIssuer("atoll")
      .setAudience("atoll:web")
      .setSubject("user:ada");
    const longKey = new Uint8Array(64).fill(7);
    const signed = await token
      .setIssuedAt(nowS)
      .setExpirationTime(nowS + 600)
      .sign(longKey);
    expect(await createSignedTokens(longKey, clock).verify(signed, ["web"])).toBeUndefined();
    expect(await reader.verify(signed, ["web"])).toBeUndefined();
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

  it.each(kinds)("lets a %s token end at its time, also where it is remembered", async (kind) => {
    const { clock, signer, reader } = meshOf();
    const token = await signer.sign(kind, person);
    expect(await reader.verify(token, kinds)).toEqual(person);
    clock.advance(tokenTtlS[kind] * 1000 - 1_000);
    expect(await signer.verify(token, kinds)).toEqual(person);
    expect(await reader.verify(token, kinds)).toEqual(person);
    clock.advance(1_000);
    expect(await signer.verify(token, kinds)).toBeUndefined();
    expect(await reader.verify(token, kinds)).toBeUndefined();
  });

  it("keeps knowing a token that it no longer remembers", async () => {
    const { signer } = meshOf();
    const first = await signer.sign("web", person);
    for (let n = 0; n < 2_100; n++) await signer.sign("hop", { ...person, name: `user:${n}` });
    expect(await signer.verify(first, ["web"])).toEqual(person);
  });
});
