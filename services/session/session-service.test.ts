import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { QueueMode } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { AnswerAction } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import { SessionService } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { verifies } from "../../test/requirements.ts";
import {
  as,
  person,
  type RunningSession,
  sendWords,
  startSessionService,
  takeUp,
} from "../../test/support/session-service.ts";
import { ErrorReason, failureFacts } from "../kernel/errors.ts";
import { readEventRange } from "../kernel/event/wire/read-event-range.ts";
import { newId } from "../kernel/id.ts";
import { FrameQueue } from "../kernel/stream/frame-queue.ts";
import { told, updatesOf } from "./life/session-life.fixture.ts";

const words = (text: string) => ({ content: [{ block: { case: "text" as const, value: { text } } }] });

async function refusal(call: Promise<unknown>) {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ConnectError);
  const { code } = error as ConnectError;
  return { code, ...failureFacts(error as ConnectError) };
}

describe("creating a session", () => {
  it(`answers the same request with the same session, and another body with a refusal ${verifies("R1")}`, async () => {
    const { client } = await startSessionService();
    const request = { requestId: newId("req"), title: "Boats" };
    const first = await client.createSession(request, as(person));
    expect(await client.createSession(request, as(person))).toEqual(first);
    const reused = await refusal(client.createSession({ ...request, title: "Ships" }, as(person)));
    expect(reused).toMatchObject({ code: Code.AlreadyExists, reason: ErrorReason.REQUEST_ID_REUSED });
  });

  it("finds the session that has the key already", async () => {
    const { client } = await startSessionService();
    const key = "agent:helper:main";
    const made = await client.createSession({ requestId: newId("req"), key }, as(person));
    const found = await client.createSession({ requestId: newId("req"), key }, as(person));
    expect([made.created, found.created]).toEqual([true, false]);
    expect(found.session?.sessionId).toBe(made.session?.sessionId);
    expect(made.session?.agentId).toBe("helper");
    const got = await client.getSession({ by: { case: "key", value: key } }, as(person));
    expect(got.session?.sessionId).toBe(made.session?.sessionId);
  });

  it("keeps people apart, finds theirs however the key is written, and asks the bindings for the agent", async () => {
    const bindings = [{ pattern: ["direct", "telegram", "*"], agentId: "support" }];
    const { client } = await startSessionService({ settings: { bindings } });
    const open = async (key: string) =>
      (await client.createSession({ requestId: newId("req"), key }, as(person))).session;
    const [ada, bob, mail] = [
      await open("direct:telegram:ada"),
      await open("direct:telegram:bob"),
      await open("direct:mail:ada"),
    ];
    expect([ada?.key, ada?.agentId]).toEqual(["agent:support:direct:telegram:ada", "support"]);
    expect(mail?.agentId).toBe("main");
    expect(new Set([ada, bob, mail].map((each) => each?.sessionId)).size).toBe(3);
    for (const value of ["direct:telegram:ada", "Agent:Support:DIRECT:Telegram:ada"]) {
      const { session } = await client.getSession({ by: { case: "key", value } }, as(person));
      expect(session?.sessionId).toBe(ada?.sessionId);
      expect((await open(value))?.sessionId).toBe(ada?.sessionId);
    }
    const wrong = { by: { case: "key", value: "group:telegram" } } as const;
    expect(await refusal(client.getSession(wrong, as(person)))).toMatchObject({
      code: Code.InvalidArgument,
      reason: ErrorReason.FIELD_INVALID,
      fields: [{ path: "key", problem: expect.stringContaining("group:<channel>:<group>") }],
    });
  });

  it("of another tenant is not there", async () => {
    const session = await startSessionService();
    const { sessionId } = await sendWords(session, "mine");
    const stranger = as({ ...person, tenant: "elsewhere" });
    const by = { case: "sessionId" as const, value: sessionId };
    expect(await refusal(session.client.getSession({ by }, stranger))).toMatchObject({
      code: Code.NotFound,
      reason: ErrorReason.SESSION_NOT_FOUND,
    });
  });
});

describe("listing sessions", () => {
  it("finds messages and answers by their words, and sessions by labels and parent", async () => {
    const session = await startSessionService();
    const parent = await sendWords(session, "Où est le café du port?");
    const { sessionId } = await sendWords(session, "a child", { parentSessionId: parent.sessionId });
    const labels = { team: "blue" };
    const labelled = await session.client.createSession({ requestId: newId("req"), labels }, as(person));
    const list = async (input: object) => {
      const { sessions } = await session.client.listSessions(input, as(person));
      return sessions.map((each) => each.sessionId);
    };
    expect(await list({ labels })).toEqual([labelled.session?.sessionId]);
    expect(await list({ parentSessionId: parent.sessionId })).toEqual([sessionId]);
    await expect.poll(() => list({ query: "cafe por" })).toEqual([parent.sessionId]);
    expect(await list({ query: "cafe por", parentSessionId: parent.sessionId })).toEqual([]);
  });
});

describe("submitting a message", () => {
  it(`is answered once, also by the next instance on the same store ${verifies("R1")}`, async () => {
    const first = await startSessionService();
    const { sessionId } = await sendWords(first, "before");
    const request = { requestId: newId("req"), sessionId, message: words("once") };
    const answer = await first.client.submitMessage(request, as(person));
    const [again, twice] = await Promise.all([1, 2].map(() => first.client.submitMessage(request, as(person))));
    expect([again, twice]).toEqual([answer, answer]);
    await first.stop();
    const second = await startSessionService({ folder: first.folder });
    expect(await second.client.submitMessage(request, as(person))).toEqual(answer);
    const other = { ...request, message: words("something else") };
    expect(await refusal(second.client.submitMessage(other, as(person)))).toMatchObject({
      code: Code.AlreadyExists,
      reason: ErrorReason.REQUEST_ID_REUSED,
      metadata: { request_id: request.requestId },
    });
    const { session } = await second.client.getSession({ by: { case: "sessionId", value: sessionId } }, as(person));
    expect(session).toMatchObject({ messageCount: 2, queuedRuns: 2 });
  });

  it("is refused by name when it can't be taken, and changes nothing", async () => {
    const session = await startSessionService({ settings: { maxQueuedRuns: 1 } });
    const { sessionId, seq } = await sendWords(session, "waits");
    const submit = (more: object) =>
      refusal(
        session.client.submitMessage({ requestId: newId("req"), sessionId, message: words("x"), ...more }, as(person)),
      );
    expect(await submit({ sessionId: "ses_unknown" })).toMatchObject({ reason: ErrorReason.SESSION_NOT_FOUND });
    expect(await submit({ queueMode: QueueMode.REJECT })).toMatchObject({ reason: ErrorReason.SESSION_BUSY });
    expect(await submit({ ifHeadSeq: seq })).toMatchObject({ code: Code.Aborted, reason: ErrorReason.HEAD_MOVED });
    const full = await submit({});
    expect(full).toMatchObject({ code: Code.ResourceExhausted, reason: ErrorReason.QUEUE_FULL });
    expect(full.retryAfterMs).toBeGreaterThan(0);
    const { session: after } = await session.client.getSession(
      { by: { case: "sessionId", value: sessionId } },
      as(person),
    );
    expect(after).toMatchObject({ messageCount: 1, headSeq: 3n });
  });

  it("titles the session with its first words", async () => {
    const session = await startSessionService();
    const { sessionId } = await sendWords(session, `  Where is\n the harbour?${" Tell me.".repeat(20)}`);
    await sendWords(session, "another one", { sessionId });
    const { session: row } = await session.client.getSession(
      { by: { case: "sessionId", value: sessionId } },
      as(person),
    );
    expect(row?.title).toMatch(/^Where is the harbour\? Tell me\. .{1,40}…$/);
    const updates = await updatesOf(session, sessionId);
    expect(updates).toEqual([told({ fields: ["title"], title: row?.title, changedBy: person.name })]);
  });
});

describe("reading a log", () => {
  const many = async (session: RunningSession): Promise<string> => {
    const { sessionId } = await sendWords(session, "m0");
    for (let i = 1; i < 8; i++) await sendWords(session, `m${i}`, { sessionId });
    return sessionId;
  };

  it(`gives pages that follow one another without a gap ${verifies("S1", "S2")}`, async () => {
    const session = await startSessionService();
    const sessionId = await many(session);
    const seqs: number[] = [];
    let pageToken = "";
    do {
      const page = await session.client.listEvents({ sessionId, pageSize: 3, pageToken }, as(person));
      seqs.push(...page.events.map((bytes) => readEventRange(bytes).seq));
      ({ nextPageToken: pageToken } = page);
    } while (pageToken !== "");
    expect(seqs).toEqual(Array.from({ length: 17 }, (_, index) => index + 1));
  });

  it(`refuses a cursor that it can't serve, with oldest and head ${verifies("S5")}`, async () => {
    const session = await startSessionService();
    const sessionId = await many(session);
    const list = (cursor: { logId?: string; afterSeq?: bigint }) =>
      refusal(session.client.listEvents({ sessionId, cursor }, as(person)));
    const metadata = { head_seq: "17", oldest_seq: "1" };
    expect(await list({ afterSeq: 18n })).toMatchObject({
      code: Code.OutOfRange,
      reason: ErrorReason.CURSOR_AHEAD,
      metadata,
    });
    expect(await list({ logId: "log_other" })).toMatchObject({ reason: ErrorReason.LOG_REPLACED, metadata });
    const token = refusal(session.client.listEvents({ sessionId, pageToken: "bm90IG91cnM" }, as(person)));
    expect(await token).toMatchObject({ code: Code.InvalidArgument, fields: [{ path: "page_token" }] });
  });

  it("gives a snapshot that ends where its first page said, whatever happens meanwhile", async () => {
    const session = await startSessionService();
    const sessionId = await many(session);
    const first = await session.client.getSnapshot({ sessionId, pageBytes: 300 }, as(person));
    await sendWords(session, "later", { sessionId });
    let count = first.events.length;
    for (let token = first.nextPageToken; token !== ""; ) {
      const page = await session.client.getSnapshot({ sessionId, pageToken: token, pageBytes: 300 }, as(person));
      expect(page.headSeq).toBe(first.headSeq);
      count += page.events.length;
      token = page.nextPageToken;
    }
    expect([count, first.headSeq]).toEqual([17, 17n]);
  });

  it("opens one session to a run's token and no other", async () => {
    const session = await startSessionService();
    const mine = await sendWords(session, "mine");
    const other = await sendWords(session, "other");
    const holder = as(await takeUp(session, mine.runId));
    expect((await session.client.listEvents({ sessionId: mine.sessionId }, holder)).events).toHaveLength(3);
    const refused = await refusal(session.client.listEvents({ sessionId: other.sessionId }, holder));
    expect(refused.reason).toBe(ErrorReason.SESSION_NOT_FOUND);
  });
});

describe("watching", () => {
  it(`follows many sessions on one stream; a watcher that fails ends alone ${verifies("S1", "S6")}`, async () => {
    const session = await startSessionService();
    const ids = [await sendWords(session, "a"), await sendWords(session, "b")].map(({ sessionId }) => sessionId);
    const requests = new FrameQueue<object>();
    const create = (watchId: bigint, sessionId: string, afterSeq = 0n) =>
      requests.offer({
        frame: {
          case: "create",
          value: { watchId, target: { case: "sessionId", value: sessionId }, cursor: { afterSeq } },
        },
      });
    create(1n, ids[0] ?? "");
    create(2n, ids[1] ?? "", 2n);
    create(3n, "ses_unknown");
    create(1n, ids[1] ?? "");
    const seqs = new Map<bigint, number[]>();
    const ended: object[] = [];
    const isEnough = () => ended.length === 3 && seqs.get(1n)?.length === 3 && seqs.get(2n)?.length === 3;
    for await (const { frame } of session.client.watch(requests as AsyncIterable<object>, as(person))) {
      if (frame.case === "created" && frame.value.watchId === 2n)
        void sendWords(session, "c", { sessionId: ids[1] ?? "" });
      if (frame.case === "cancelled") {
        const { watchId, reason } = frame.value;
        ended.push({ watchId, reason });
        if (ended.length === 2) requests.offer({ frame: { case: "cancel", value: { watchId: 1n } } });
      }
      if (frame.case === "batch") {
        const { watchId, events } = frame.value;
        seqs.set(watchId, [...(seqs.get(watchId) ?? []), ...events.map((bytes) => readEventRange(bytes).seq)]);
      }
      if (isEnough()) break;
    }
    expect([seqs.get(1n), seqs.get(2n)]).toEqual([
      [1, 2, 3],
      [3, 4, 5],
    ]);
    expect(ended).toContainEqual({ watchId: 3n, reason: ErrorReason.SESSION_NOT_FOUND });
    expect(ended).toContainEqual({ watchId: 1n, reason: ErrorReason.FIELD_INVALID });
    expect(ended).toContainEqual({ watchId: 1n, reason: ErrorReason.UNSPECIFIED });
  });
});

describe("what is not served yet", () => {
  it(`is refused by name, never ignored ${verifies("L9")}`, async () => {
    const { client } = await startSessionService();
    expect(SessionService.method.answerQuestion.name).toBe("AnswerQuestion");
    const request = { requestId: newId("req"), sessionId: "ses_1", questionId: "q", action: AnswerAction.DECLINE };
    expect(await refusal(client.answerQuestion(request, as(person)))).toMatchObject({
      code: Code.Unimplemented,
      reason: ErrorReason.METHOD_NOT_SERVED,
    });
  });
});
