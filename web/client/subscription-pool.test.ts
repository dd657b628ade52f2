import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, onTestFinished, test } from "vitest";
import { ErrorReason } from "../../gen/atoll/error/v1/error_reason_pb.ts";
import type {
  SubscribeResponse,
  SubscribeSessionsRequest,
  SubscribeSessionsResponseSchema,
} from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { verifies } from "../../test/requirements.ts";
import { reasonOf } from "./judge-breakage.ts";
import { eventOf, type SessionsScript, startScriptedGateway } from "./scripted-gateway.fixture.ts";
import { SubscriptionPool } from "./subscription-pool.ts";

type Response = MessageInitShape<typeof SubscribeSessionsResponseSchema>;

const event = (seq: number, firstSeq = seq) =>
  eventOf({ firstSeq: String(firstSeq), seq: String(seq), sessionUpdated: {} });

/** Sessions of a mesh: every stream gives what follows its cursors, then what is appended while it lives. */
function openLogs() {
  const heads = new Map<string, number>();
  const wakes = new Set<() => void>();
  const append = (sessionId: string, count = 1) => {
    heads.set(sessionId, (heads.get(sessionId) ?? 0) + count);
    for (const wake of wakes) wake();
  };
  const script: SessionsScript = async function* ({ subscriptions }, { context }) {
    const told = subscriptions.map(({ afterSeq }) => Number(afterSeq));
    const stop = new Promise<void>((resolve) => context.signal.addEventListener("abort", () => resolve()));
    // The header goes out.
    yield { subscription: 0 };
    while (!context.signal.aborted) {
      const changed = Promise.withResolvers<void>();
      wakes.add(changed.resolve);
      for (const [subscription, { sessionId }] of subscriptions.entries()) {
        const head = heads.get(sessionId) ?? 0;
        const from = told[subscription] ?? 0;
        if (head <= from) continue;
        told[subscription] = head;
        const events = Array.from({ length: head - from }, (_, n) => event(from + n + 1));
        yield { subscription, events, logId: `log_${sessionId}`, headSeq: BigInt(head) };
      }
      await Promise.race([changed.promise, stop]);
      wakes.delete(changed.resolve);
    }
  };
  return { append, script };
}

async function setUp(...scripts: SessionsScript[]) {
  const gateway = await startScriptedGateway({ sessions: scripts });
  const pool = new SubscriptionPool(gateway.client);
  const stop = new AbortController();
  onTestFinished(() => {
    stop.abort();
    gateway.close();
  });
  const follow = (
    sessionId: string,
    afterSeq = 0,
    call: { readonly signal?: AbortSignal; onHeader?: () => void } = {},
  ) => {
    const heard: SubscribeResponse[] = [];
    const own = new AbortController();
    const signal = AbortSignal.any([own.signal, stop.signal, ...(call.signal ? [call.signal] : [])]);
    let end: ConnectError | "whole" | undefined;
    const ended = (async () => {
      try {
        const request = { sessionId, afterSeq: BigInt(afterSeq) };
        for await (const response of pool.subscribe(request, { ...call, signal })) heard.push(response);
        end = "whole";
      } catch (error) {
        end = ConnectError.from(error);
      }
    })();
    return {
      seqs: () => heard.flatMap(({ events }) => events.map(({ seq }) => Number(seq))),
      end: () => end,
      ended,
      leave: () => own.abort(),
    };
  };
  return { gateway, pool, follow };
}

const cursors = (request: SubscribeSessionsRequest | undefined) =>
  request?.subscriptions.map(({ sessionId, afterSeq, logId }) => [sessionId, Number(afterSeq), logId]);

describe(`a pool of subscriptions ${verifies("FP2")}`, () => {
  test("opens one stream for those that come together, and one for those that come later", async () => {
    const logs = openLogs();
    const { gateway, follow } = await setUp(logs.script);
    logs.append("a", 3);
    logs.append("b", 1);
    const [a, b] = [follow("a"), follow("b")];
    await expect.poll(() => [a.seqs(), b.seqs()]).toEqual([[1, 2, 3], [1]]);
    expect(gateway.sessions).toHaveLength(1);
    const c = follow("c", 5);
    await expect.poll(() => gateway.sessions.length).toBe(2);
    expect(cursors(gateway.sessions[1])).toEqual([
      ["a", 3, "log_a"],
      ["b", 1, "log_b"],
      ["c", 5, ""],
    ]);
    for (const session of ["a", "b", "c"]) logs.append(session, 6);
    await expect.poll(() => c.seqs()).toEqual([6]);
    await expect.poll(() => a.seqs()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect([a.end(), b.end(), c.end()]).toEqual([undefined, undefined, undefined]);
  });

  test(`gives each reader every event once, whoever comes and goes beside it ${verifies("S1", "S2")}`, async () => {
    const logs = openLogs();
    const { follow } = await setUp(logs.script);
    const steady = follow("a");
    for (let n = 1; n <= 10; n++) {
      const passing = follow("b");
      logs.append("a");
      await expect.poll(() => steady.seqs().length).toBe(n);
      passing.leave();
      await passing.ended;
    }
    expect(steady.seqs()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(steady.end()).toBeUndefined();
  });

  test("ends the stream when its last reader has left", async () => {
    let ended = false;
    const { follow, pool } = await setUp(async function* (_, { context }) {
      context.signal.addEventListener("abort", () => {
        ended = true;
      });
      yield { subscription: 0 };
      await new Promise(() => undefined);
    });
    let isAnswered = false;
    const only = follow("a", 0, {
      onHeader: () => {
        isAnswered = true;
      },
    });
    await expect.poll(() => isAnswered).toBe(true);
    only.leave();
    await expect.poll(() => ended).toBe(true);
    expect(pool.size).toBe(0);
  });

  test(`tells a reader alone what its own subscription was refused with ${verifies("F1")}`, async () => {
    const logs = openLogs();
    const { follow } = await setUp(async function* (request, call) {
      const error = {
        code: Code.OutOfRange,
        reason: ErrorReason.LOG_REPLACED,
        message: "replaced",
        metadata: { log_id: "log_2" },
      };
      if (request.subscriptions.length === 2) yield { subscription: 1, ended: true, error };
      yield* logs.script(request, call);
    });
    const [a, b] = [follow("a"), follow("b", 7)];
    await b.ended;
    const refusal = b.end();
    if (!(refusal instanceof ConnectError)) throw new Error("b was refused");
    expect([refusal.code, reasonOf(refusal)]).toEqual([Code.OutOfRange, "LOG_REPLACED"]);
    logs.append("a", 2);
    await expect.poll(() => a.seqs()).toEqual([1, 2]);
    expect(a.end()).toBeUndefined();
  });

  test("tells every reader that the stream broke, and is opened again by those who come back", async () => {
    const logs = openLogs();
    const cut: SessionsScript = async function* (_, { cutConnection }): AsyncGenerator<Response> {
      yield { subscription: 0, events: [event(1)], logId: "log_a" };
      await cutConnection();
    };
    const { gateway, follow } = await setUp(cut, logs.script);
    const [a, b] = [follow("a"), follow("b")];
    await Promise.all([a.ended, b.ended]);
    expect(a.end()).toBeInstanceOf(ConnectError);
    expect(b.end()).toBeInstanceOf(ConnectError);
    expect(a.seqs()).toEqual([1]);
    logs.append("a", 2);
    const again = follow("a", 1);
    await expect.poll(() => again.seqs()).toEqual([2]);
    expect(gateway.sessions).toHaveLength(2);
  });

  test("lets a reader resume by itself where a merged delta begins before the place of the pool", async () => {
    const { follow } = await setUp(
      async function* (_, { context }) {
        yield { subscription: 0, events: [event(1), event(2)], logId: "log_a" };
        await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      },
      async function* (_, { context }) {
        yield { subscription: 0, events: [event(4, 2)], logId: "log_a" };
        await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      },
    );
    const a = follow("a");
    await expect.poll(() => a.seqs()).toEqual([1, 2]);
    follow("b");
    await a.ended;
    expect(a.seqs()).toEqual([1, 2]);
    expect(a.end()).toMatchObject({ code: Code.Unavailable });
  });

  test(`bounds its subscriptions and what waits for one that does not read ${verifies("L7")}`, async () => {
    const { pool, follow } = await setUp(async function* ({ subscriptions }, { context }) {
      if (subscriptions[0]?.sessionId === "slow") {
        for (let seq = 1; seq <= 200; seq++) yield { subscription: 0, events: [event(seq)], logId: "log_slow" };
      }
      yield { subscription: 0 };
      await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
    });
    const slow = pool.subscribe({ sessionId: "slow" });
    const given = [Number((await slow.next()).value?.events[0]?.seq)];
    await expect.poll(() => pool.size).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const rest = async () => {
      for await (const { events } of slow) given.push(...events.map(({ seq }) => Number(seq)));
    };
    await expect(rest()).rejects.toMatchObject({ code: Code.Unavailable });
    expect(given).toEqual(given.map((_, n) => n + 1));
    expect(given.length).toBeLessThan(200);
    const many = Array.from({ length: 65 }, (_, n) => follow(`s${n}`));
    await expect.poll(() => many.filter(({ end }) => end() !== undefined).length).toBe(1);
    expect(many.at(-1)?.end()).toMatchObject({ code: Code.Unavailable });
  });
});
