import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, onTestFinished, test } from "vitest";
import { ErrorReason } from "../../../gen/atoll/error/v1/error_reason_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { judgeBreakage } from "../../client/judge-breakage.ts";
import { eventOf, type SessionsScript, startScriptedGateway } from "../../client/scripted-gateway.fixture.ts";
import { SubscriptionPool } from "../../client/subscription-pool.ts";
import type { Port, ToTab, ToWorker } from "./port-messages.ts";
import { servePort } from "./serve-port.ts";
import { createSharedSubscribe } from "./shared-subscribe.ts";

const event = (seq: number) => eventOf({ firstSeq: String(seq), seq: String(seq), sessionUpdated: {} });

async function setUp(script: SessionsScript) {
  const gateway = await startScriptedGateway({ sessions: [script] });
  const pool = new SubscriptionPool(gateway.client);
  const meshes: string[] = [];
  onTestFinished(() => gateway.close());
  /** A tab of its own, over a port as browsers have them. */
  const openTab = () => {
    const { port1, port2 } = new MessageChannel();
    onTestFinished(() => port1.close());
    servePort(port2 as unknown as Port<ToTab, ToWorker>, (baseUrl, token) => {
      meshes.push(`${baseUrl} ${token}`);
      return pool;
    });
    const subscribe = createSharedSubscribe(port1 as unknown as Port<ToWorker, ToTab>, {
      baseUrl: "http://mesh",
      token: "t",
    });
    return { subscribe, port: port1 };
  };
  return { gateway, pool, meshes, openTab };
}

const untilLeft = (signal: AbortSignal) => new Promise((resolve) => signal.addEventListener("abort", resolve));

describe(`tabs that share a stream ${verifies("FP2")}`, () => {
  test("each get what they subscribed to, over one stream", async () => {
    const { gateway, openTab, meshes } = await setUp(async function* ({ subscriptions }, { context }) {
      for (const [subscription, { sessionId }] of subscriptions.entries()) {
        const seq = Number(sessionId.slice("ses_".length));
        yield { subscription, events: [event(seq)], logId: sessionId, headSeq: BigInt(seq) };
      }
      await untilLeft(context.signal);
    });
    const first = async (seq: number) => {
      let headers = 0;
      const onHeader = () => {
        headers += 1;
      };
      for await (const response of openTab().subscribe({ sessionId: `ses_${seq}` }, { onHeader })) {
        return [Number(response.events[0]?.seq), response.logId, Number(response.headSeq), headers];
      }
      throw new Error("the stream ended");
    };
    const seqs = Array.from({ length: 10 }, (_, n) => n + 1);
    expect(await Promise.all(seqs.map(first))).toEqual(seqs.map((seq) => [seq, `ses_${seq}`, seq, 1]));
    expect(gateway.sessions).toHaveLength(1);
    expect(new Set(meshes)).toEqual(new Set(["http://mesh t"]));
  });

  test("are told why a subscription was refused, with reason and time to wait", async () => {
    const { openTab } = await setUp(async function* (_, { context }) {
      const error = {
        code: Code.ResourceExhausted,
        reason: ErrorReason.LIMIT_EXCEEDED,
        message: "busy",
        retryAfterMs: 1_500,
      };
      yield { subscription: 0, ended: true, error };
      await untilLeft(context.signal);
    });
    const refused = await openTab()
      .subscribe({ sessionId: "ses_1" })
      [Symbol.asyncIterator]()
      .next()
      .catch(ConnectError.from);
    expect(judgeBreakage(refused, false)).toEqual({ kind: "resume", reason: "LIMIT_EXCEEDED", afterMs: 1_500 });
  });

  test("are let go when they leave, close, or abort", async () => {
    const { pool, openTab } = await setUp(async function* (_, { context }) {
      yield { subscription: 0 };
      await untilLeft(context.signal);
    });
    const stop = new AbortController();
    const tabs = [openTab(), openTab(), openTab()];
    const read = async ({ subscribe }: (typeof tabs)[number]) => {
      for await (const _ of subscribe({ sessionId: "ses_1" }, { signal: stop.signal }));
    };
    const reading = Promise.allSettled(tabs.map(read));
    await expect.poll(() => pool.size).toBe(3);
    tabs[1]?.port.postMessage({ kind: "close" } satisfies ToWorker);
    await expect.poll(() => pool.size).toBe(2);
    stop.abort();
    await expect.poll(() => pool.size).toBe(0);
    const ends = await reading;
    expect(ends.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
  });

  test(`that do not read have a bounded number of responses on their way ${verifies("L7")}`, async () => {
    const { openTab } = await setUp(async function* (_, { context }) {
      for (let seq = 1; seq <= 60; seq++) yield { subscription: 0, events: [event(seq)], logId: "log_1" };
      await untilLeft(context.signal);
    });
    const { subscribe, port } = openTab();
    let sent = 0;
    port.addEventListener("message", ({ data }) => {
      if ((data as ToTab).kind === "response") sent += 1;
    });
    const reader = subscribe({ sessionId: "ses_1" })[Symbol.asyncIterator]();
    await reader.next();
    await expect.poll(() => sent).toBe(33);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(sent).toBeLessThanOrEqual(33);
    const seqs = [1];
    while (seqs.length < 60) seqs.push(Number((await reader.next()).value?.events[0]?.seq));
    expect(seqs).toEqual(seqs.map((_, n) => n + 1));
  });
});
