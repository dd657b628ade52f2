import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { Code, createClient, type HandlerContext } from "@connectrpc/connect";
import { describe, expect, it, onTestFinished } from "vitest";
import { GatewayService } from "../../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SessionService } from "../../../../gen/atoll/session/v1/session_service_pb.ts";
import { verifies } from "../../../../test/requirements.ts";
import { createSignedTokens } from "../../auth/signed-tokens.ts";
import { systemClock } from "../../clock.ts";
import { manualClock } from "../../manual-clock.fixture.ts";
import { callValues, onward, principalOf, traceIdOf } from "../call-context.ts";
import { administrator, drained, failureOf, onBehalfOf, served, serveRpcs, traceId } from "../served-rpcs.fixture.ts";
import { connectPeer } from "./directory.ts";
import { createHopInterceptor } from "./hop-interceptor.ts";

const request = { by: { case: "sessionId" as const, value: "ses_1" } };
const ways = ["inMemory", "remote"] as const;

describe.each(ways)("a hop, %s", (way) => {
  it(`carries principal, trace and deadline, and shortens the deadline on its way ${verifies("R6")}`, async () => {
    let seen: HandlerContext | undefined;
    const behind = await serveRpcs([
      served(SessionService, {
        getSession(_request, context) {
          seen = context;
          return {};
        },
      }),
    ]);
    const front = await serveRpcs([
      served(SessionService, {
        async getSession(ask, context) {
          await createClient(SessionService, behind[way]).getSession(
            { by: ask.by as typeof request.by },
            onward(context),
          );
          return {};
        },
      }),
    ]);
    const run = { sessionId: "ses_1", runId: "run_1", agentId: "main", epoch: 3 };
    const principal = { ...administrator, run };
    await createClient(SessionService, front[way]).getSession(request, { ...onBehalfOf(principal), timeoutMs: 20_000 });
    if (seen === undefined) throw new Error("the call did not arrive");
    expect(principalOf(seen)).toEqual(principal);
    expect(traceIdOf(seen)).toBe(traceId);
    expect(seen.timeoutMs()).toBeGreaterThan(15_000);
    expect(seen.timeoutMs()).toBeLessThanOrEqual(20_000);
  });

  it(`carries the caller's leaving ${verifies("R6")}`, async () => {
    const reached = Promise.withResolvers<AbortSignal>();
    const mesh = await serveRpcs([
      served(SessionService, {
        getSession(_request, context) {
          reached.resolve(context.signal);
          return new Promise(() => undefined);
        },
      }),
    ]);
    const control = new AbortController();
    const call = failureOf(
      createClient(SessionService, mesh[way]).getSession(request, {
        ...onBehalfOf(administrator),
        signal: control.signal,
      }),
    );
    const signal = await reached.promise;
    control.abort();
    await expect.poll(() => signal.aborted).toBe(true);
    expect((await call).code).toBe(Code.Canceled);
  });

  it("ends the handler of a stream whose reader aborts, its `finally` included", async () => {
    let left = 0;
    const mesh = await serveRpcs([
      served(GatewayService, {
        async *subscribe() {
          try {
            for (;;) yield {};
          } finally {
            left += 1;
          }
        },
      }),
    ]);
    const control = new AbortController();
    const call = { ...onBehalfOf(administrator), signal: control.signal };
    const reading = async () => {
      for await (const _ of createClient(GatewayService, mesh[way]).subscribe({ sessionId: "ses_1" }, call))
        control.abort();
    };
    expect(await failureOf(reading())).toMatchObject({ code: Code.Canceled });
    await expect.poll(() => left).toBe(1);
  });

  it("carries a person who came with a token of the web page, whose origin was checked at the edge", async () => {
    const mesh = await serveRpcs([
      served(SessionService, {
        getSession: (_request, context) => ({ session: { title: principalOf(context).name } }),
      }),
    ]);
    const person = { ...administrator, origin: "http://127.0.0.1:18789" };
    const { session } = await createClient(SessionService, mesh[way]).getSession(request, onBehalfOf(person));
    expect(session?.title).toBe(administrator.name);
  });

  it("carries nobody when nobody calls", async () => {
    const mesh = await serveRpcs([served(SessionService, {})]);
    const call = createClient(SessionService, mesh[way]).getSession(request, {
      contextValues: callValues(undefined, ""),
    });
    expect(await failureOf(call)).toMatchObject({ code: Code.Unauthenticated });
  });
});

describe("an assertion", () => {
  it.each([
    ["half a minute has gone by", (clock: ReturnType<typeof manualClock>) => clock.advance(31_000)],
    ["the wall clock was set two hours ahead", (clock: ReturnType<typeof manualClock>) => clock.jump(7_200_000)],
    ["the wall clock was set two hours back", (clock: ReturnType<typeof manualClock>) => clock.jump(-7_200_000)],
  ])("is still good when %s", async (_case, pass) => {
    const clock = manualClock(Date.now());
    const key = new Uint8Array(32).fill(9);
    const held: string[] = [];
    const hop = createHopInterceptor("session", createSignedTokens(key, clock), clock);
    const next = hop((async (asked: { readonly header: Headers }) => {
      held.push(asked.header.get("authorization")?.replace("Bearer ", "") ?? "");
      return { stream: false };
    }) as never);
    const values = callValues(administrator, "");
    const call = () => next({ header: new Headers(), contextValues: values } as never);
    await call();
    await call();
    expect(held[0]).toBe(held[1]);
    pass(clock);
    await call();
    const { name } = administrator;
    // The peer has the same clock and remembers nothing.
    expect(await createSignedTokens(key, clock).verify(held[2] ?? "", ["hop"])).toMatchObject({ name });
  });
});

const peerProgram = `
  const { serveUntilKilled } = await import(process.argv[1]);
  await serveUntilKilled();
`;

interface PeerProcess {
  readonly url: string;
  readonly kill: () => void;
}

/** A peer in a process of its own, which can be killed. */
async function startPeer(): Promise<PeerProcess> {
  const module = path.join(import.meta.dirname, "peer-process.fixture.ts");
  const child: ChildProcess = spawn(process.execPath, ["--input-type=module", "-e", peerProgram, module], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  if (child.stdout === null) throw new Error("the peer has no output");
  const [url] = (await once(createInterface(child.stdout), "line")) as [string];
  return { url, kill: () => void child.kill("SIGKILL") };
}

function clientsOf(url: string) {
  const tokens = createSignedTokens(new Uint8Array(32).fill(3), systemClock);
  const transport = connectPeer({ kind: "remote", url }, createHopInterceptor("session", tokens, systemClock), {});
  return { session: createClient(SessionService, transport), gateway: createClient(GatewayService, transport) };
}

const unreachable = { code: Code.Unavailable, reason: "PEER_UNAVAILABLE", metadata: { service: "session" } };

describe("a peer that can't be reached", () => {
  it("is told from one that refuses, with a time to retry", async () => {
    const peer = await startPeer();
    const { session, gateway } = clientsOf(peer.url);
    expect(await failureOf(session.getRun({ runId: "run_1" }, onBehalfOf(administrator)))).toMatchObject({
      reason: "METHOD_NOT_SERVED",
    });
    peer.kill();
    await expect
      .poll(async () => (await failureOf(session.getRun({ runId: "run_1" }, onBehalfOf(administrator)))).reason)
      .toBe("PEER_UNAVAILABLE");
    for (const call of [
      () => session.getSession(request, onBehalfOf(administrator)),
      () => drained(gateway.subscribe({ sessionId: "ses_1" }, onBehalfOf(administrator))),
    ]) {
      const seen = await failureOf(call());
      expect(seen).toMatchObject(unreachable);
      expect(seen.retryAfterMs).toBeGreaterThan(0);
    }
  });

  it("is found out as well when it dies in the middle of a unary call", async () => {
    const peer = await startPeer();
    const { session } = clientsOf(peer.url);
    const call = failureOf(session.getSession(request, onBehalfOf(administrator)));
    await systemClock.sleep(300);
    peer.kill();
    expect(await call).toMatchObject(unreachable);
  });

  it("is found out as well when it dies in the middle of a stream", async () => {
    const peer = await startPeer();
    const { gateway } = clientsOf(peer.url);
    let count = 0;
    const reading = failureOf(
      (async () => {
        for await (const _ of gateway.subscribe({ sessionId: "ses_1" }, onBehalfOf(administrator))) {
          count += 1;
          peer.kill();
        }
      })(),
    );
    expect(await reading).toMatchObject(unreachable);
    expect(count).toBe(1);
  });

  it("is not blamed when the caller itself left", async () => {
    const peer = await startPeer();
    const { session } = clientsOf(peer.url);
    const control = new AbortController();
    const call = failureOf(session.getSession(request, { ...onBehalfOf(administrator), signal: control.signal }));
    await systemClock.sleep(100);
    control.abort();
    expect(await call).toMatchObject({ code: Code.Canceled, reason: "" });
  });
});
