import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, describe, expect, test } from "vitest";
import { breaksAfter, delta, headSeq, honest, log, logId } from "./answer-log.fixture.ts";
import {
  meshError,
  type ScriptedGateway,
  type SubscribeScript,
  startScriptedGateway,
} from "./scripted-gateway.fixture.ts";
import { type ConnectionState, type Delivery, type SubscribeOptions, subscribeEvents } from "./subscribe.ts";

let gateway: ScriptedGateway | undefined;

afterEach(() => gateway?.close());

async function subscribeTo(scripts: readonly SubscribeScript[], options: Partial<SubscribeOptions> = {}) {
  gateway = await startScriptedGateway({ subscribe: scripts });
  const states: ConnectionState[] = [];
  const deliveries: Delivery[] = [];
  let error: unknown;
  try {
    const subscription = subscribeEvents({
      client: gateway.client,
      sessionId: "ses_1",
      untilRunId: "run_1",
      random: () => 0,
      onState: (state) => states.push(state),
      ...options,
    });
    for await (const delivery of subscription) deliveries.push(delivery);
  } catch (thrown) {
    error = thrown;
  }
  const events = deliveries.flatMap((delivery) => (delivery.kind === "events" ? delivery.events : []));
  return { gateway, states, deliveries, events, error };
}

describe("subscribeEvents", () => {
  const breakages: Record<string, SubscribeScript> = {
    "the connection is cut": breaksAfter(3, (cut) => cut()),
    "the gateway drains": breaksAfter(3, () => {
      throw meshError(Code.Unavailable, "DRAINING");
    }),
    "the reader stalled": breaksAfter(3, () => {
      throw meshError(Code.ResourceExhausted, "READER_STALLED");
    }),
    "the stream ends early": async function* () {
      yield { events: log.slice(0, 3), logId, headSeq };
    },
  };
  for (const [name, script] of Object.entries(breakages)) {
    test(`goes on from the cursor, without gap or repetition, when ${name}`, async () => {
      const { events, gateway, states, error } = await subscribeTo([script, honest]);
      expect(error).toBeUndefined();
      expect(events.map(({ seq }) => Number(seq))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
      expect(gateway.subscribes.map(({ afterSeq, logId }) => [afterSeq, logId])).toEqual([
        [0n, ""],
        [3n, logId],
      ]);
      expect(states.map(({ kind }) => kind)).toEqual(["connecting", "live", "waiting", "connecting", "live", "ended"]);
    });
  }

  test("goes on when a stream is silent for too long", async () => {
    const silent: SubscribeScript = async function* (_, { context }) {
      yield { events: log.slice(0, 2), logId, headSeq };
      await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
    };
    const { events, states } = await subscribeTo([silent, honest], { silenceTimeoutMs: 100 });
    expect(events).toHaveLength(11);
    expect(states).toContainEqual({ kind: "waiting", retryInMs: 0, reason: "silence" });
  });

  for (const [code, reason] of [
    [Code.ResourceExhausted, "LIMIT_EXCEEDED"],
    [Code.Unavailable, "STORE_UNAVAILABLE"],
  ] as const) {
    test(`goes on when the mesh asks it to wait, and not before: ${reason}`, async () => {
      const triedAt: number[] = [];
      const limited: SubscribeScript = async function* () {
        triedAt.push(performance.now());
        yield* [];
        throw meshError(code, reason, 300);
      };
      const again: SubscribeScript = (request, call) => {
        triedAt.push(performance.now());
        return honest(request, call);
      };
      const { events, states, error } = await subscribeTo([breaksAfter(3, (cut) => cut()), limited, again]);
      expect(error).toBeUndefined();
      expect(events.map(({ seq }) => Number(seq))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
      expect(states).toContainEqual({ kind: "waiting", retryInMs: 300, reason });
      expect((triedAt[1] ?? 0) - (triedAt[0] ?? 0)).toBeGreaterThanOrEqual(295);
    });
  }

  test("ends when a limit names no time, or one that is too long to wait for", async () => {
    for (const retryAfterMs of [undefined, 300_001]) {
      const refuse = breaksAfter(0, () => {
        throw meshError(Code.ResourceExhausted, "LIMIT_EXCEEDED", retryAfterMs);
      });
      const { error, gateway } = await subscribeTo([refuse]);
      gateway.close();
      expect(error).toMatchObject({ code: Code.ResourceExhausted });
      expect(gateway.subscribes).toHaveLength(1);
    }
  });

  test("gives a merged delta that begins before the cursor only as the first event after a resume", async () => {
    const merged: SubscribeScript = async function* () {
      yield { events: [delta(1, 8), ...log.slice(8)], logId, headSeq };
    };
    const { deliveries } = await subscribeTo([breaksAfter(3, (cut) => cut()), merged]);
    expect(deliveries.at(-1)).toMatchObject({ resumed: true, events: [{ firstSeq: 1n, seq: 8n }, {}, {}, {}] });
  });

  test("never gives what stands behind a gap", async () => {
    const gap: SubscribeScript = async function* () {
      yield { events: [...log.slice(0, 2), ...log.slice(4)], logId, headSeq };
    };
    const { events, gateway } = await subscribeTo([gap, honest]);
    expect(events.map(({ seq }) => Number(seq))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(gateway.subscribes[1]?.afterSeq).toBe(2n);
  });

  test("never gives an event again that a gateway repeats", async () => {
    const repeating: SubscribeScript = async function* () {
      yield { events: [...log], logId, headSeq };
    };
    const { events } = await subscribeTo([breaksAfter(5, (cut) => cut()), repeating]);
    expect(events.map(({ seq }) => Number(seq))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  for (const reason of ["LOG_REPLACED", "HISTORY_TRIMMED", "CURSOR_AHEAD"]) {
    test(`starts over and says so when the cursor is void: ${reason}`, async () => {
      const refuse = breaksAfter(0, () => {
        throw meshError(Code.OutOfRange, reason);
      });
      const cursor = { logId: "log_old", afterSeq: 7 };
      const { deliveries, events, gateway } = await subscribeTo([refuse, honest], { cursor });
      expect(deliveries[0]).toMatchObject({ kind: "startOver", reason });
      expect(gateway.subscribes[1]).toMatchObject({ afterSeq: 0n, logId: "" });
      expect(events).toHaveLength(11);
    });
  }

  test("starts over when a stream comes from another log without saying so", async () => {
    const { deliveries } = await subscribeTo([honest], { cursor: { logId: "log_old", afterSeq: 2 } });
    expect(deliveries.map(({ kind }) => kind)).toEqual(["startOver", "events"]);
  });

  test("ends when even the beginning is out of range", async () => {
    const refuse = breaksAfter(0, () => {
      throw meshError(Code.OutOfRange, "HISTORY_TRIMMED");
    });
    const { error, states } = await subscribeTo([refuse]);
    expect(error).toBeInstanceOf(ConnectError);
    expect(states.at(-1)).toEqual({ kind: "ended", why: "failed" });
  });

  test("ends without a second try when the token is not valid", async () => {
    const refuse = breaksAfter(0, () => {
      throw meshError(Code.Unauthenticated, "TOKEN_INVALID");
    });
    const { error, states, gateway } = await subscribeTo([refuse]);
    expect(error).toMatchObject({ code: Code.Unauthenticated });
    expect(states.at(-1)).toEqual({ kind: "ended", why: "unauthenticated" });
    expect(gateway.subscribes).toHaveLength(1);
  });

  test("ends without a second try when there is no such session", async () => {
    const refuse = breaksAfter(0, () => {
      throw meshError(Code.NotFound, "SESSION_NOT_FOUND");
    });
    const { error, gateway } = await subscribeTo([refuse]);
    expect(error).toMatchObject({ code: Code.NotFound });
    expect(gateway.subscribes).toHaveLength(1);
  });

  test("ends when it is told to, and lets the stream go", async () => {
    const stop = new AbortController();
    let released = false;
    const endless: SubscribeScript = async function* (_, { context }) {
      context.signal.addEventListener("abort", () => {
        released = true;
      });
      yield { events: log.slice(0, 1), logId, headSeq };
      await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
    };
    gateway = await startScriptedGateway({ subscribe: [endless] });
    const states: ConnectionState[] = [];
    const onState = (state: ConnectionState) => states.push(state);
    const { client } = gateway;
    for await (const _ of subscribeEvents({ client, sessionId: "ses_1", signal: stop.signal, onState })) stop.abort();
    expect(states.at(-1)).toEqual({ kind: "ended", why: "stopped" });
    await expect.poll(() => released).toBe(true);
  });

  test("ends when the run had ended before the cursor", async () => {
    const { events, states, error } = await subscribeTo([
      async function* () {
        yield { logId, headSeq };
      },
    ]);
    expect([events, error]).toEqual([[], undefined]);
    expect(states.at(-1)).toEqual({ kind: "ended", why: "run finished" });
  });
});

describe("behind the end of the run", () => {
  /** Brings the whole log, then what `end` does; the signal is the one of the call. */
  async function subscribeUntil(end: (signal: AbortSignal) => Promise<void>): Promise<string[]> {
    const steps: string[] = [];
    async function* subscribe(_: object, { signal }: { signal: AbortSignal }) {
      yield { events: log, logId, headSeq };
      await end(signal).then(
        () => steps.push("read to the end"),
        () => steps.push("let go"),
      );
    }
    const client = { subscribe } as unknown as SubscribeOptions["client"];
    for await (const { kind } of subscribeEvents({ client, sessionId: "ses_1", untilRunId: "run_1" })) steps.push(kind);
    return [...steps, "returned"];
  }

  test("the end of the stream is read too: left unread it would hold connection and process", async () => {
    const soon = (signal: AbortSignal) =>
      new Promise<void>((end) => setTimeout(end, 20)).then(() => signal.throwIfAborted());
    expect(await subscribeUntil(soon)).toEqual(["events", "read to the end", "returned"]);
  });

  test("a stream that does not end is let go", async () => {
    const never = (signal: AbortSignal) =>
      new Promise<void>((_, fail) => signal.addEventListener("abort", () => fail(new Error("aborted"))));
    expect(await subscribeUntil(never)).toEqual(["events", "let go", "returned"]);
  });
});
