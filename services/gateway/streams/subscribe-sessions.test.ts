import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import type { SubscribeSessionsResponse } from "../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { as, person, sendWords, startSessionService } from "../../../test/support/session-service.ts";
import { ErrorReason } from "../../kernel/errors.ts";
import { newId } from "../../kernel/id.ts";
import { startTestGateway } from "../gateway.fixture.ts";

async function setUp(options?: { readonly progressIntervalMs: number }) {
  const session = await startSessionService();
  const { client } = await startTestGateway(session, options);
  const heard: SubscribeSessionsResponse[] = [];
  const control = new AbortController();
  /** Hears until the stream ends, or until `control` lets it go. */
  const hear = async (subscriptions: Parameters<typeof client.subscribeSessions>[0]["subscriptions"] = []) => {
    try {
      for await (const response of client.subscribeSessions({ subscriptions }, { signal: control.signal })) {
        heard.push(response);
      }
    } catch (error) {
      if (!control.signal.aborted) throw error;
    }
  };
  const seqs = (subscription: number) =>
    heard
      .filter((each) => each.subscription === subscription)
      .flatMap(({ events }) => events.map(({ firstSeq, seq }) => [Number(firstSeq), Number(seq)] as const));
  return { session, client, heard, hear, seqs, leave: () => control.abort() };
}

describe("a stream of several sessions", () => {
  it(`gives each subscription all that follows its cursor, in order, then live ${verifies("S1", "S2", "FP2")}`, async () => {
    const { session, hear, seqs, leave } = await setUp();
    const one = await sendWords(session, "one");
    const two = await sendWords(session, "two");
    const hearing = hear([
      { sessionId: one.sessionId },
      { sessionId: two.sessionId, afterSeq: 1n },
      { sessionId: one.sessionId, afterSeq: 2n },
    ]);
    await expect.poll(() => [seqs(0).length, seqs(1).length]).toEqual([3, 2]);
    await sendWords(session, "more", { sessionId: one.sessionId });
    await sendWords(session, "more", { sessionId: two.sessionId });
    await expect.poll(() => [seqs(0).length, seqs(1).length, seqs(2).length]).toEqual([5, 4, 3]);
    expect(seqs(0).map(([first]) => first)).toEqual([1, 2, 3, 4, 5]);
    expect(seqs(1).map(([first]) => first)).toEqual([2, 3, 4, 5]);
    expect(seqs(2).map(([first]) => first)).toEqual([3, 4, 5]);
    leave();
    await hearing;
  });

  it(`ends a subscription that is refused, and that one alone ${verifies("F1")}`, async () => {
    const { session, hear, heard, seqs, leave } = await setUp();
    const { sessionId } = await sendWords(session, "one");
    const hearing = hear([
      { sessionId: "ses_missing" },
      { sessionId, logId: "log_other", afterSeq: 1n },
      { sessionId, filter: { include: ["no_such_body"] } },
      { sessionId },
    ]);
    await expect.poll(() => heard.filter(({ ended }) => ended).length).toBe(3);
    const errors = heard.filter(({ ended }) => ended).map(({ subscription, error }) => [subscription, error] as const);
    expect(new Map(errors)).toMatchObject(
      new Map([
        [0, { code: Code.NotFound, reason: ErrorReason.SESSION_NOT_FOUND }],
        [1, { code: Code.OutOfRange, reason: ErrorReason.LOG_REPLACED }],
        [2, { code: Code.InvalidArgument, fieldPaths: ["subscriptions[2].filter.include[0]"] }],
      ]),
    );
    await sendWords(session, "more", { sessionId });
    await expect.poll(() => seqs(3).length).toBe(5);
    leave();
    await hearing;
  });

  it("ends when the last of its subscriptions has what it wanted", async () => {
    const { session, hear, heard } = await setUp();
    const one = await sendWords(session, "one");
    const two = await sendWords(session, "two");
    const hearing = hear([one, two].map(({ sessionId, runId }) => ({ sessionId, untilRunId: runId })));
    for (const { runId } of [one, two]) {
      await session.client.cancelRun({ requestId: newId("req"), runId }, as(person));
    }
    await hearing;
    for (const subscription of [0, 1]) {
      const own = heard.filter((each) => each.subscription === subscription);
      expect(own.flatMap(({ events }) => events).at(-1)?.body.case).toBe("runFinished");
      expect(own.at(-1)).toMatchObject({ ended: true });
      expect(own.at(-1)?.error).toBeUndefined();
    }
  });

  it("shows a sign of life of every subscription", async () => {
    const { session, hear, heard, leave } = await setUp({ progressIntervalMs: 50 });
    const { sessionId } = await sendWords(session, "one");
    const hearing = hear([
      { sessionId, afterSeq: 2n },
      { sessionId, afterSeq: 2n },
    ]);
    await expect
      .poll(() => new Set(heard.filter(({ events }) => events.length === 0).map((each) => each.subscription)).size)
      .toBe(2);
    leave();
    await hearing;
  });

  it.each([0, 65])("is refused with %i subscriptions", async (count) => {
    const { hear } = await setUp();
    const refused = await hear(Array.from({ length: count }, () => ({ sessionId: "ses_1" }))).catch(ConnectError.from);
    expect(refused).toMatchObject({ code: Code.InvalidArgument });
  });
});
