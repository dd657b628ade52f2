import { Code, createClient } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { GatewayService } from "../../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SessionService } from "../../../../gen/atoll/session/v1/session_service_pb.ts";
import { verifies } from "../../../../test/requirements.ts";
import { manualClock } from "../../manual-clock.fixture.ts";
import { administrator, drained, failureOf, onBehalfOf, served, serveRpcs } from "../served-rpcs.fixture.ts";
import { request, transportOf, ways } from "./call-ways.fixture.ts";

describe("the deadline of a call", () => {
  it.each(ways)(`ends a unary call whose handler does not answer, %s ${verifies("L7")}`, async (way) => {
    const clock = manualClock();
    const reached = Promise.withResolvers<AbortSignal>();
    const mesh = await serveRpcs(
      [
        served(SessionService, {
          getSession(_request, context) {
            reached.resolve(context.signal);
            return new Promise(() => undefined);
          },
        }),
      ],
      { clock },
    );
    const call = failureOf(
      createClient(SessionService, transportOf(mesh, way)).getSession(request, onBehalfOf(administrator)),
    );
    const signal = await reached.promise;
    clock.advance(29_999);
    expect(signal.aborted).toBe(false);
    clock.advance(1);
    expect(signal.aborted).toBe(true);
    expect(await call).toMatchObject({
      code: Code.DeadlineExceeded,
      reason: "DEADLINE_EXCEEDED",
      metadata: { timeout_ms: "30000" },
    });
  });

  it.each(ways)(
    `ends a stream on which nothing was said for too long, not one that lives, %s ${verifies("L7")}`,
    async (way) => {
      const clock = manualClock();
      const said = Promise.withResolvers<void>();
      let more = Promise.withResolvers<void>();
      const mesh = await serveRpcs(
        [
          served(GatewayService, {
            async *subscribe(_request, context) {
              for (;;) {
                yield {};
                said.resolve();
                await Promise.race([
                  more.promise,
                  new Promise<void>((resolve) => context.signal.addEventListener("abort", () => resolve())),
                ]);
                context.signal.throwIfAborted();
                more = Promise.withResolvers();
              }
            },
          }),
        ],
        { clock, streamIdleTimeoutMs: 1_000 },
      );
      let count = 0;
      const reading = failureOf(
        (async () => {
          const stream = createClient(GatewayService, transportOf(mesh, way)).subscribe(
            { sessionId: "ses_1" },
            onBehalfOf(administrator),
          );
          for await (const _ of stream) count += 1;
        })(),
      );
      await said.promise;
      for (let n = 2; n <= 5; n++) {
        clock.advance(900);
        more.resolve();
        await expect.poll(() => count).toBe(n);
      }
      clock.advance(1_000);
      expect(await reading).toMatchObject({ code: Code.DeadlineExceeded, reason: "DEADLINE_EXCEEDED" });
      expect(count).toBe(5);
    },
  );

  it("lets a stream live on which only the client speaks", async () => {
    const clock = manualClock();
    const heard: string[] = [];
    const mesh = await serveRpcs(
      [
        served(GatewayService, {
          async *chat(requests) {
            for await (const { requestId } of requests) heard.push(requestId);
            yield { requestId: "done" };
          },
        }),
      ],
      { clock, streamIdleTimeoutMs: 1_000 },
    );
    async function* say() {
      for (let n = 1; n <= 4; n++) {
        yield { requestId: `r${n}`, action: { case: "close" as const, value: { sessionId: "ses_1" } } };
        await expect.poll(() => heard.length).toBe(n);
        clock.advance(900);
      }
    }
    expect(await drained(createClient(GatewayService, mesh.inMemory).chat(say(), onBehalfOf(administrator)))).toBe(1);
  });

  it("ends a stream whose handler hears no signal", async () => {
    const clock = manualClock();
    const reached = Promise.withResolvers<void>();
    const mesh = await serveRpcs(
      [
        served(GatewayService, {
          async *subscribe() {
            yield {};
            reached.resolve();
            await new Promise(() => undefined);
          },
        }),
      ],
      { clock, streamIdleTimeoutMs: 1_000 },
    );
    const reading = failureOf(
      drained(createClient(GatewayService, mesh.connect("gRPC")).subscribe({ sessionId: "ses_1" })),
    );
    await reached.promise;
    clock.advance(1_000);
    expect(await reading).toMatchObject({ code: Code.DeadlineExceeded, reason: "DEADLINE_EXCEEDED" });
  });
});
