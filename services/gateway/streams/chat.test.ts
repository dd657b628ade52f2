import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it, onTestFinished } from "vitest";
import type { ChatRequestSchema, ChatResponse } from "../../../gen/atoll/gateway/v1/chat_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { as, person, sendWords, startSessionService } from "../../../test/support/session-service.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { RawSessionService } from "../../kernel/rpc/hops/raw-session-service.ts";
import { FrameQueue } from "../../kernel/stream/frame-queue.ts";
import { type RunningGateway, startTestGateway } from "../gateway.fixture.ts";

type Say = MessageInitShape<typeof ChatRequestSchema>;
type Frame = ChatResponse["frame"];

/** One Chat stream: what is said, and everything that was heard. */
function openChat({ client }: RunningGateway) {
  const requests = new FrameQueue<Say>(10_000);
  const heard: ChatResponse[] = [];
  const control = new AbortController();
  onTestFinished(() => control.abort());
  let error: ConnectError | undefined;
  const ended = (async () => {
    try {
      for await (const response of client.chat(requests, { signal: control.signal })) heard.push(response);
    } catch (thrown) {
      error = ConnectError.from(thrown);
    }
  })();
  return {
    say: (requestId: string, action: Say["action"]) =>
      void requests.offer({ requestId, ...(action === undefined ? {} : { action }) }),
    halfClose: () => requests.end(),
    leave: () => control.abort(),
    heard,
    ended,
    error: () => error,
    /** The answer to a request. */
    async answerTo(requestId: string): Promise<Frame> {
      await expect.poll(() => heard.some((each) => each.requestId === requestId)).toBe(true);
      return heard.find((each) => each.requestId === requestId)?.frame ?? { case: undefined };
    },
    /** The seqs of a session's events so far, with the answers to `open` between them left out. */
    seqs: (sessionId: string) =>
      heard.flatMap(({ frame }) =>
        frame.case === "events" && frame.value.sessionId === sessionId
          ? frame.value.events.map(({ seq }) => Number(seq))
          : [],
      ),
  };
}

const words = (text: string) => ({ content: [{ block: { case: "text" as const, value: { text } } }] });
const open = (sessionId: string, afterSeq = 0n) =>
  ({ case: "open", value: { session: { case: "sessionId", value: sessionId }, cursor: { afterSeq } } }) as const;
const close = (sessionId: string) => ({ case: "close", value: { sessionId } }) as const;
const send = (sessionId: string, text = "hello") =>
  ({ case: "send", value: { sessionId, message: words(text) } }) as const;

async function setUp() {
  const session = await startSessionService();
  const gateway = await startTestGateway(session);
  return { session, gateway, chat: openChat(gateway) };
}

describe("a chat", () => {
  it(`opens a new session, sends into it and shows its events without a gap ${verifies("S1")}`, async () => {
    const { chat } = await setUp();
    chat.say("o1", { case: "open", value: {} });
    const opened = await chat.answerTo("o1");
    if (opened.case !== "opened") throw new Error(`not opened: ${opened.case}`);
    const { sessionId } = opened.value;
    chat.say("s1", send(sessionId, "one"));
    chat.say("s2", send(sessionId, "two"));
    expect(await chat.answerTo("s2")).toMatchObject({ case: "accepted", value: { sessionId, seq: expect.anything() } });
    await expect.poll(() => chat.seqs(sessionId).length).toBeGreaterThanOrEqual(4);
    expect(chat.seqs(sessionId)).toEqual(chat.seqs(sessionId).map((_, n) => n + 1));
  });

  it(`resumes from a cursor ${verifies("S2")}`, async () => {
    const { session, chat } = await setUp();
    const { sessionId } = await sendWords(session, "before");
    chat.say("o1", open(sessionId, 1n));
    await chat.answerTo("o1");
    await sendWords(session, "after", { sessionId });
    await expect.poll(() => chat.seqs(sessionId).length).toBeGreaterThanOrEqual(3);
    expect(chat.seqs(sessionId)[0]).toBe(2);
  });

  it("answers a frame that it refuses under its id, and goes on", async () => {
    const { chat } = await setUp();
    chat.say("o1", open("ses_missing"));
    chat.say("s1", send("ses_missing"));
    chat.say("c1", { case: "cancel", value: { runId: "run_missing" } });
    chat.say("o2", { case: "open", value: { filter: { include: ["no_such_body"] } } });
    chat.say("o3", { case: "open", value: {} });
    expect(await chat.answerTo("o1")).toMatchObject({
      case: "error",
      value: { code: Code.NotFound, reason: ErrorReason.SESSION_NOT_FOUND, sessionId: "" },
    });
    expect(await chat.answerTo("s1")).toMatchObject({
      case: "error",
      value: { code: Code.NotFound, reason: ErrorReason.SESSION_NOT_FOUND },
    });
    expect(await chat.answerTo("c1")).toMatchObject({
      case: "error",
      value: { code: Code.NotFound, reason: ErrorReason.RUN_NOT_FOUND },
    });
    expect(await chat.answerTo("o2")).toMatchObject({
      case: "error",
      value: { reason: ErrorReason.FIELD_INVALID, fieldPaths: ["open.filter.include[0]"] },
    });
    expect(await chat.answerTo("o3")).toMatchObject({ case: "opened" });
    expect(chat.error()).toBeUndefined();
  });

  it("makes no session for an open whose filter it refuses", async () => {
    const { session, chat } = await setUp();
    for (const sessionKey of ["", "agent:main:filtered"]) {
      const named = { case: "sessionKey", value: sessionKey } as const;
      const filter = { exclude: ["history_trimmed"] };
      chat.say(`o${sessionKey}`, { case: "open", value: { filter, ...(sessionKey === "" ? {} : { session: named }) } });
      expect(await chat.answerTo(`o${sessionKey}`)).toMatchObject({
        case: "error",
        value: { reason: ErrorReason.FIELD_INVALID, fieldPaths: ["open.filter.exclude[0]"] },
      });
    }
    expect((await session.client.listSessions({}, as(person))).sessions).toEqual([]);
  });

  it("refuses to open a session twice, and goes on showing it", async () => {
    const { session, chat } = await setUp();
    const { sessionId } = await sendWords(session, "hello");
    chat.say("o1", open(sessionId));
    chat.say("o2", open(sessionId));
    expect(await chat.answerTo("o2")).toMatchObject({
      case: "error",
      value: { reason: ErrorReason.FIELD_INVALID, fieldPaths: ["open.session_id"] },
    });
    await sendWords(session, "again", { sessionId });
    await expect.poll(() => chat.seqs(sessionId).length).toBeGreaterThanOrEqual(4);
  });

  it("shows nothing of a session once its close is accepted, and opens it again at once", async () => {
    const { session, chat } = await setUp();
    const { sessionId } = await sendWords(session, "hello");
    chat.say("o1", open(sessionId));
    await expect.poll(() => chat.seqs(sessionId).length).toBeGreaterThanOrEqual(2);
    chat.say("c1", close(sessionId));
    chat.say("o2", open(sessionId, 1n));
    expect(await chat.answerTo("c1")).toMatchObject({ case: "accepted", value: { sessionId } });
    expect(await chat.answerTo("o2")).toMatchObject({ case: "opened" });
    await expect.poll(() => chat.seqs(sessionId).filter((seq) => seq === 2)).toHaveLength(2);
    chat.say("c2", close(sessionId));
    await chat.answerTo("c2");
    const before = chat.seqs(sessionId).length;
    await sendWords(session, "unheard", { sessionId });
    chat.say("c3", close(sessionId));
    await chat.answerTo("c3");
    expect(chat.seqs(sessionId)).toHaveLength(before);
    expect(chat.heard.filter(({ frame }) => frame.case === "error")).toEqual([]);
  });

  it("says of which session the flow broke, and goes on", async () => {
    const { tokens } = await startSessionService();
    let reads = 0;
    const metadata = { log_id: "log_2", oldest_seq: "1", head_seq: "1" };
    const remote = createRouterTransport((router) =>
      router.service(RawSessionService, {
        listEvents() {
          reads += 1;
          if (reads === 1) return { logId: "log_1" };
          throw failure(ErrorReason.LOG_REPLACED, "history was replaced", { metadata });
        },
      }),
    );
    const chat = openChat(await startTestGateway({ tokens, remote }));
    chat.say("o1", open("ses_1"));
    expect(await chat.answerTo("o1")).toMatchObject({ case: "opened" });
    const broken = {
      case: "error",
      value: { sessionId: "ses_1", reason: ErrorReason.LOG_REPLACED, metadata },
    };
    expect(await chat.answerTo("")).toMatchObject(broken);
    chat.say("c1", close("ses_1"));
    expect(await chat.answerTo("c1")).toMatchObject({ case: "accepted" });
  });

  it(`has room for 100 sessions and says so to the next ${verifies("L7")}`, async () => {
    const { chat } = await setUp();
    for (let n = 0; n <= 100; n++) chat.say(`o${n}`, { case: "open", value: {} });
    expect(await chat.answerTo("o100")).toMatchObject({
      case: "error",
      value: { code: Code.ResourceExhausted, reason: ErrorReason.LIMIT_EXCEEDED, metadata: { limit: "100" } },
    });
    expect(await chat.answerTo("o99")).toMatchObject({ case: "opened" });
  });

  it("goes on speaking to a client that has nothing more to say, until it leaves", async () => {
    const { session, chat } = await setUp();
    const { sessionId } = await sendWords(session, "hello");
    chat.say("o1", open(sessionId));
    chat.halfClose();
    await chat.answerTo("o1");
    await sendWords(session, "still there?", { sessionId });
    await expect.poll(() => chat.seqs(sessionId).length).toBeGreaterThanOrEqual(4);
    chat.leave();
    await chat.ended;
  });

  it("ends when a client with nothing open has nothing more to say", async () => {
    const { chat } = await setUp();
    chat.say("c1", close("ses_none"));
    chat.halfClose();
    await chat.ended;
    expect(chat.error()).toBeUndefined();
    expect(chat.heard.map(({ requestId }) => requestId)).toEqual(["c1"]);
  });

  it("shows life while nothing happens", async () => {
    const gateway = await startTestGateway(await startSessionService(), { progressIntervalMs: 50 });
    const chat = openChat(gateway);
    await expect.poll(() => chat.heard.filter(({ frame }) => frame.case === "progress").length).toBeGreaterThan(2);
  });
});

describe(`readers while the session service is away ${verifies("S1", "S2")}`, () => {
  it("go on from where they were when it is back: one watch for all of them", async () => {
    const first = await startSessionService();
    const gateway = await startTestGateway(first);
    const { sessionId } = await sendWords(first, "one");
    const chats = [openChat(gateway), openChat(gateway), openChat(gateway)];
    for (const chat of chats) {
      chat.say("o1", open(sessionId));
      await expect.poll(() => chat.seqs(sessionId).length).toBeGreaterThanOrEqual(2);
    }
    await first.stop();
    const second = await startSessionService({ folder: first.folder, port: first.port });
    await sendWords(second, "two", { sessionId });
    const { events } = await second.client.listEvents(
      { sessionId },
      { headers: { authorization: `Bearer atl_${"s".repeat(43)}` } },
    );
    for (const chat of chats) {
      await expect.poll(() => chat.seqs(sessionId).length).toBe(events.length);
      expect(chat.seqs(sessionId)).toEqual(events.map((_, n) => n + 1));
      expect(chat.error()).toBeUndefined();
    }
  });
});
