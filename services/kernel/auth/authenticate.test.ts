import { describe, expect, it } from "vitest";
import { Scope } from "../../../gen/atoll/auth/v1/options_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { manualClock } from "../manual-clock.fixture.ts";
import { type Authentication, createAuthenticate, holdsScope } from "./authenticate.ts";
import type { Principal } from "./principal.ts";
import { createSignedTokens } from "./signed-tokens.ts";

const localToken = `atl_${"x".repeat(43)}`;
const workerToken = `atw_${"y".repeat(43)}`;
const origin = "http://127.0.0.1:18789";
const address = "127.0.0.1";

function holder(...scopes: Scope[]): Principal {
  return { tenant: "local", name: "user:ada", scopes: new Set(scopes), origin: undefined, run: undefined };
}

function setUp(maxFailedPerMinute = 3) {
  const clock = manualClock();
  const tokens = createSignedTokens(new Uint8Array(32).fill(1), clock);
  const authenticate = createAuthenticate({ localToken, workerToken, tokens, clock, maxFailedPerMinute });
  const ask = (authorization: string | undefined, from: { origin?: string; address?: string | undefined } = {}) =>
    authenticate({ authorization, origin: undefined, address, ...from });
  return { clock, tokens, ask };
}

describe("who calls", () => {
  it("knows the local token as the local person with every scope of an administrator", async () => {
    const { ask } = setUp();
    const answer = await ask(`Bearer ${localToken}`);
    expect(answer).toMatchObject({ kind: "authenticated", principal: { tenant: "local", name: "user:local" } });
    expect(await ask(`bearer ${localToken}`)).toMatchObject({ kind: "authenticated" });
  });

  it("tells a caller without a token from one with a bad one", async () => {
    const { ask } = setUp();
    expect(await ask(undefined)).toEqual({ kind: "anonymous" });
    expect(await ask("")).toEqual({ kind: "refused" });
    expect(await ask("Bearer wrong")).toEqual({ kind: "refused" });
  });

  it.each([
    ["another scheme", `Basic ${localToken}`],
    ["the bare token", localToken],
    ["two tokens", `Bearer ${localToken} ${localToken}`],
    ["the token and more", `Bearer ${localToken}x`],
    ["a part of the token", `Bearer ${localToken.slice(0, -1)}`],
    ["a token over 4 KiB", `Bearer ${"a".repeat(4_097)}`],
    ["a line break", `Bearer ${localToken}\nx`],
  ])("refuses %s", async (_case, authorization) => {
    expect(await setUp().ask(authorization)).toEqual({ kind: "refused" });
  });

  it("takes a web token from its own origin only", async () => {
    const { tokens, ask } = setUp(100);
    const token = `Bearer ${await tokens.sign("web", { ...holder(Scope.ADMIN), origin })}`;
    expect(await ask(token, { origin })).toMatchObject({ kind: "authenticated", principal: { origin } });
    expect(await ask(token, { origin: "http://evil.example" })).toEqual({ kind: "refused" });
    expect(await ask(token, { origin: "null" })).toEqual({ kind: "refused" });
    expect(await ask(token)).toEqual({ kind: "refused" });
  });

  it(`takes a worker's token, which opens Attach alone, and none where nobody attaches ${verifies("E22")}`, async () => {
    const { ask } = setUp();
    const { principal } = (await ask(`Bearer ${workerToken}`)) as Extract<Authentication, { kind: "authenticated" }>;
    expect(principal).toMatchObject({ name: "worker", run: undefined });
    expect([...principal.scopes]).toEqual([Scope.WORKER]);
    const clock = manualClock();
    const tokens = createSignedTokens(new Uint8Array(32).fill(1), clock);
    const bare = createAuthenticate({ localToken: undefined, tokens, clock, maxFailedPerMinute: 3 });
    for (const token of [localToken, workerToken]) {
      const credentials = { authorization: `Bearer ${token}`, origin: undefined, address: undefined };
      expect(await bare(credentials)).toEqual({ kind: "refused" });
    }
  });

  it("takes a run token, which names its run", async () => {
    const { tokens, ask } = setUp();
    const run = { sessionId: "ses_1", runId: "run_1", agentId: "main", epoch: 1 };
    const token = await tokens.sign("run", { ...holder(Scope.TOOLS_CALL), run });
    expect(await ask(`Bearer ${token}`)).toMatchObject({ kind: "authenticated", principal: { run } });
  });
});

describe("the limiter of failed tries", () => {
  it("makes an address wait after its failures, loopback included, and says for how long", async () => {
    const { clock, ask } = setUp(3);
    for (let n = 0; n < 3; n++) expect(await ask("Bearer wrong")).toEqual({ kind: "refused" });
    clock.advance(15_000);
    expect(await ask("Bearer wrong")).toEqual({ kind: "slow-down", retryAfterMs: 45_000 });
  });

  it(`lets every right token through beside any number of wrong ones ${verifies("FE2")}`, async () => {
    const { tokens, ask } = setUp(3);
    const run = { sessionId: "ses_1", runId: "run_1", agentId: "main", epoch: 1 };
    const right = [
      localToken,
      await tokens.sign("hop", holder(Scope.SESSIONS_READ)),
      await tokens.sign("web", { ...holder(Scope.ADMIN), origin: "http://127.0.0.1:1" }),
      await tokens.sign("run", { ...holder(Scope.TOOLS_CALL), run }),
    ];
    for (let n = 0; n < 30; n++) await ask(`Bearer wrong${n}`);
    for (const token of right) {
      expect(await ask(`Bearer ${token}`, { origin: "http://127.0.0.1:1" })).toMatchObject({ kind: "authenticated" });
      expect(await ask(`Bearer ${token}x`)).toMatchObject({ kind: "slow-down" });
    }
    // A right one of another origin is as wrong as any, and a right one forgives nothing.
    expect(await ask(`Bearer ${right[2]}`, { origin: "http://evil.example" })).toMatchObject({ kind: "slow-down" });
    expect(await ask("Bearer wrong")).toMatchObject({ kind: "slow-down" });
  });

  it("lets the address try again when its minute is over, and counts from nothing", async () => {
    const { clock, ask } = setUp(2);
    for (let n = 0; n < 3; n++) await ask("Bearer wrong");
    clock.advance(60_000);
    expect(await ask(`Bearer ${localToken}`)).toMatchObject({ kind: "authenticated" });
    expect(await ask("Bearer wrong")).toEqual({ kind: "refused" });
    expect(await ask("Bearer wrong")).toEqual({ kind: "refused" });
    expect(await ask("Bearer wrong")).toMatchObject({ kind: "slow-down" });
  });

  it("counts failures only: a caller without a token and a caller with a good one are never slowed down", async () => {
    const { ask } = setUp(1);
    for (let n = 0; n < 5; n++) {
      expect(await ask(undefined)).toEqual({ kind: "anonymous" });
      expect(await ask(`Bearer ${localToken}`)).toMatchObject({ kind: "authenticated" });
    }
  });

  it("keeps addresses apart, and does not count inside the process", async () => {
    const { ask } = setUp(1);
    await ask("Bearer wrong");
    expect(await ask("Bearer wrong")).toMatchObject({ kind: "slow-down" });
    expect(await ask("Bearer wrong", { address: "127.0.0.2" })).toEqual({ kind: "refused" });
    for (let n = 0; n < 3; n++) expect(await ask("Bearer wrong", { address: undefined })).toEqual({ kind: "refused" });
  });

  it("keeps no service of the mesh out: neither failures at its address, nor its own at a clock that was set", async () => {
    const { clock, tokens, ask } = setUp(3);
    const assertion = () => tokens.sign("hop", holder(Scope.SESSIONS_READ));
    const onTheirWay = await Promise.all(Array.from({ length: 5 }, assertion));
    clock.jump(2 * 3_600_000);
    // What the mesh signed is no guess, however often it comes too late.
    for (const token of onTheirWay) expect(await ask(`Bearer ${token}`)).toEqual({ kind: "refused" });
    for (let n = 0; n < 3; n++) await ask("Bearer wrong");
    expect(await ask("Bearer wrong")).toMatchObject({ kind: "slow-down" });
    expect(await ask(`Bearer ${localToken}`)).toMatchObject({ kind: "authenticated" });
    expect(await ask(`Bearer ${await assertion()}`)).toMatchObject({ kind: "authenticated" });
  });

  it("is not lifted by the wall clock", async () => {
    const { clock, ask } = setUp(1);
    await ask("Bearer wrong");
    clock.jump(2 * 3_600_000);
    expect(await ask("Bearer wrong")).toMatchObject({ kind: "slow-down" });
  });
});

describe("scopes", () => {
  it("lets ADMIN do everything but a worker's work, and nobody call what states no scope", () => {
    const scopes = [Scope.PUBLIC, Scope.SESSIONS_READ, Scope.TOOLS_ADMIN, Scope.APPROVALS, Scope.ADMIN];
    for (const scope of scopes) expect(holdsScope(holder(Scope.ADMIN), scope)).toBe(true);
    expect(holdsScope(holder(Scope.ADMIN), Scope.WORKER)).toBe(false);
    expect(holdsScope(holder(Scope.WORKER), Scope.WORKER)).toBe(true);
    expect(holdsScope(holder(Scope.WORKER), Scope.SESSIONS_READ)).toBe(false);
    expect(holdsScope(holder(Scope.SESSIONS_READ), Scope.SESSIONS_WRITE)).toBe(false);
    expect(holdsScope(holder(Scope.ADMIN, Scope.UNSPECIFIED), Scope.UNSPECIFIED)).toBe(false);
  });
});
