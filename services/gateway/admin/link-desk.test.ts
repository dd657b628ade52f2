import { createClient } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { AdminService } from "../../../gen/atoll/admin/v1/admin_service_pb.ts";
import { GatewayService } from "../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SessionService } from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { person, startSessionService } from "../../../test/support/session-service.ts";
import { createSignedTokens, tokenTtlS } from "../../kernel/auth/signed-tokens.ts";
import { ErrorReason, failedWith } from "../../kernel/errors.ts";
import { manualClock } from "../../kernel/manual-clock.fixture.ts";
import { startTestGateway } from "../gateway.fixture.ts";
import { LinkDesk } from "./link-desk.ts";

const origin = "http://127.0.0.1:18789";
const codeOf = (url: string) => new URL(url).hash.replace("#code=", "");

function setUp() {
  const clock = manualClock();
  const tokens = createSignedTokens(new Uint8Array(32).fill(2), clock);
  const desk = new LinkDesk(tokens, clock, () => origin);
  const isInvalid = async (code: string, from: string | undefined = origin) => {
    const error = await desk.redeem(code, from).catch((thrown: unknown) => thrown);
    return failedWith(error, ErrorReason.LINK_INVALID);
  };
  return { clock, tokens, desk, isInvalid };
}

describe("a one-time link", () => {
  it("carries its code in the fragment, which no server sees, and gives a token bound to the page's origin", async () => {
    const { clock, tokens, desk } = setUp();
    const { url, expiresAtMs } = desk.create(person, 60_000);
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:18789\/#code=[\w-]{32}$/);
    expect(expiresAtMs).toBe(clock.nowMs() + 60_000);
    const redeemed = await desk.redeem(codeOf(url), origin);
    expect(redeemed.expiresAtMs).toBe(clock.nowMs() + tokenTtlS.web * 1_000);
    expect(await tokens.verify(redeemed.token, ["web"])).toEqual({ ...person, origin });
    expect(await tokens.verify(redeemed.token, ["hop", "run"])).toBeUndefined();
  });

  it("works once, also for two who come at the same time", async () => {
    const { desk, isInvalid } = setUp();
    const code = codeOf(desk.create(person, 60_000).url);
    const both = await Promise.allSettled([desk.redeem(code, origin), desk.redeem(code, origin)]);
    expect(both.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect(await isInvalid(code)).toBe(true);
  });

  it("expires by a clock that nobody sets", async () => {
    const { clock, desk, isInvalid } = setUp();
    const [late, early] = [codeOf(desk.create(person, 60_000).url), codeOf(desk.create(person, 60_000).url)];
    clock.jump(-7_200_000);
    clock.advance(59_999);
    expect(await isInvalid(early)).toBe(false);
    clock.advance(1);
    expect(await isInvalid(late)).toBe(true);
  });

  it("is worth nothing without an origin, and nothing when it was made up", async () => {
    const { desk, isInvalid } = setUp();
    expect(await isInvalid("made-up")).toBe(true);
    expect(await isInvalid("")).toBe(true);
    const error = await desk
      .redeem(codeOf(desk.create(person, 60_000).url), undefined)
      .catch((thrown: unknown) => thrown);
    expect(failedWith(error, ErrorReason.LINK_INVALID)).toBe(true);
  });

  it("is forgotten when 1 000 newer ones are open", async () => {
    const { desk, isInvalid } = setUp();
    const first = codeOf(desk.create(person, 60_000).url);
    const second = codeOf(desk.create(person, 60_000).url);
    for (let n = 0; n < 999; n++) desk.create(person, 60_000);
    expect(await isInvalid(first)).toBe(true);
    expect(await isInvalid(second)).toBe(false);
  });
});

describe("the page's token", () => {
  it("opens sessions through the gateway from its own origin, over every hop", async () => {
    const gateway = await startTestGateway(await startSessionService());
    const { url } = await gateway.admin.createLink({ requestId: "link-1" });
    const own = { origin: gateway.url };
    const page = gateway.connect({ token: "", headers: own });
    const { token } = await createClient(AdminService, page).redeemLink({ code: codeOf(url) });
    const signedIn = gateway.connect({ token, headers: own });
    const message = { content: [{ block: { case: "text" as const, value: { text: "hello" } } }] };
    const { sessionId } = await createClient(GatewayService, signedIn).sendMessage({ requestId: "r1", message });
    const { sessions } = await createClient(SessionService, signedIn).listSessions({});
    expect(sessions.map((each) => each.sessionId)).toEqual([sessionId]);
    const control = new AbortController();
    for await (const { events } of createClient(GatewayService, signedIn).subscribe(
      { sessionId },
      { signal: control.signal },
    )) {
      expect(events[0]?.seq).toBe(1n);
      break;
    }
    control.abort();
    const stolen = createClient(SessionService, gateway.connect({ token }));
    await expect(stolen.listSessions({})).rejects.toThrow(/a valid token is required/);
  });
});
