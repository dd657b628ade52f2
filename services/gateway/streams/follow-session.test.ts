import { fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import {
  as,
  person,
  type RunningSession,
  sendWords,
  startSessionService,
  takeUp,
} from "../../../test/support/session-service.ts";
import { ErrorReason, failure, failureFacts, reasonName } from "../../kernel/errors.ts";
import { encodeEvent } from "../../kernel/event/encode-event.ts";
import { stampEvents } from "../../kernel/event/wire/stamp-events.fixture.ts";
import { newId } from "../../kernel/id.ts";
import { RawSessionService } from "../../kernel/rpc/hops/raw-session-service.ts";
import { FrameQueue } from "../../kernel/stream/frame-queue.ts";
import { startTestGateway } from "../gateway.fixture.ts";

/** How long a reader may take that has everything it waits for. */
const soonMs = 3_000;

async function setUp() {
  const session = await startSessionService();
  const { client } = await startTestGateway(session);
  /** `[first_seq, seq, body]` of all that a reader gets until its stream ends; the reason when it is refused. */
  const readUntil = async (sessionId: string, untilRunId: string, afterSeq = 0n, logId = "") => {
    const heard: (readonly [first: number, last: number, body: string | undefined])[] = [];
    try {
      const request = { sessionId, untilRunId, afterSeq, logId };
      for await (const { events } of client.subscribe(request, { timeoutMs: soonMs })) {
        for (const { firstSeq, seq, body } of events) heard.push([Number(firstSeq), Number(seq), body.case]);
      }
    } catch (thrown) {
      const error = ConnectError.from(thrown);
      const refusal = [Code[error.code], reasonName(failureFacts(error).reason ?? 0)].join(" ");
      return { heard, refusal };
    }
    return { heard, refusal: "" };
  };
  return { session, client, readUntil };
}

/** A message whose run is ended before a worker took it: `finishedSeq` is its terminal event. */
async function sendAndCancel(session: RunningSession, sessionId = "") {
  const sent = await sendWords(session, "hello", { sessionId });
  await session.client.cancelRun({ requestId: newId("req"), runId: sent.runId }, as(person));
  const { run } = await session.client.getRun({ runId: sent.runId }, as(person));
  return { ...sent, finishedSeq: Number(run?.finishedSeq) };
}

async function fork({ client }: RunningSession, sessionId: string, atSeq = 0) {
  const request = { requestId: newId("req"), sessionId, atSeq: BigInt(atSeq) };
  const { session } = await client.forkSession(request, as(person));
  return { forkId: session?.sessionId ?? "", headSeq: session?.headSeq ?? 0n };
}

const nothing = { heard: [], refusal: "" };
const notFound = { heard: [], refusal: "NotFound RUN_NOT_FOUND" };

describe("a reader that wants a session until a run's end", () => {
  it("has the events up to the terminal one, whether the run has ended or ends now", async () => {
    const { session, readUntil } = await setUp();
    const { sessionId, runId, finishedSeq } = await sendAndCancel(session);
    const next = await sendWords(session, "next", { sessionId });
    expect((await readUntil(sessionId, runId)).heard.at(-1)).toEqual([finishedSeq, finishedSeq, "runFinished"]);
    const reading = readUntil(sessionId, next.runId, BigInt(finishedSeq));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await session.client.cancelRun({ requestId: newId("req"), runId: next.runId }, as(person));
    expect((await reading).heard.at(-1)?.[2]).toBe("runFinished");
  });

  it("has nothing to wait for behind the end, and is told first when its cursor is void", async () => {
    const { session, readUntil } = await setUp();
    const { sessionId, runId, finishedSeq } = await sendAndCancel(session);
    await sendWords(session, "next", { sessionId });
    expect(await readUntil(sessionId, runId, BigInt(finishedSeq))).toEqual(nothing);
    expect(await readUntil(sessionId, runId, BigInt(finishedSeq), "log_other")).toEqual({
      heard: [],
      refusal: "OutOfRange LOG_REPLACED",
    });
  });

  it(`ends with the range in which retention removed the end ${verifies("S5")}`, async () => {
    const { session, readUntil } = await setUp();
    const { sessionId, runId, finishedSeq } = await sendAndCancel(session);
    await sendWords(session, "next", { sessionId });
    const bounds = { keepFromMs: 0, maxEvents: 1, maxBytes: 0 };
    await session.store.trimLogs({ bounds, cursor: "", maxSessions: 10, maxRows: 100 });
    expect(await readUntil(sessionId, runId)).toEqual({
      heard: [[1, expect.toSatisfy((seq: number) => seq >= finishedSeq), "historyTrimmed"]],
      refusal: "",
    });
  });

  it("is refused when the run is of another session, wherever its cursor stands", async () => {
    const { session, readUntil } = await setUp();
    const one = await sendAndCancel(session);
    const other = await sendWords(session, "one");
    await sendWords(session, "two", { sessionId: other.sessionId });
    for (const afterSeq of [0n, 4n]) {
      expect(await readUntil(other.sessionId, one.runId, afterSeq)).toEqual(notFound);
      expect(await readUntil(other.sessionId, "run_missing", afterSeq)).toEqual(notFound);
    }
  });
});

describe("a reader that wants a fork until the end of a run that it copied", () => {
  it("ends where the copy has the end, or at once behind it", async () => {
    const { session, readUntil } = await setUp();
    const { sessionId, runId, finishedSeq } = await sendAndCancel(session);
    await sendWords(session, "next", { sessionId });
    const { forkId, headSeq } = await fork(session, sessionId);
    expect((await readUntil(forkId, runId)).heard.at(-1)).toEqual([finishedSeq, finishedSeq, "runFinished"]);
    expect(await readUntil(forkId, runId, headSeq)).toEqual(nothing);
  });

  it("ends at the fork's own end of a run that was open there, whatever became of the run and of its session", async () => {
    const { session, readUntil } = await setUp();
    const { sessionId, runId, seq } = await sendWords(session, "hello");
    const atSeq = Number(seq) + 1;
    const { forkId, headSeq } = await fork(session, sessionId, atSeq);
    const second = await fork(session, forkId);
    const expectEnds = async () => {
      for (const id of [forkId, second.forkId]) {
        expect((await readUntil(id, runId)).heard.at(-1)).toEqual([atSeq + 1, atSeq + 1, "runFinished"]);
        expect(await readUntil(id, runId, headSeq)).toEqual(nothing);
      }
    };
    await expectEnds();
    await sendWords(session, "later", { sessionId });
    await session.client.cancelRun({ requestId: newId("req"), runId }, as(person));
    await expectEnds();
    await session.client.deleteSession({ requestId: newId("req"), sessionId }, as(person));
    await expectEnds();
  });

  it("ends at the fork's own end of a run that had a call at work there, and of one that waited behind it", async () => {
    const { session, readUntil } = await setUp();
    const { sessionId, runId } = await sendWords(session, "hello");
    const waiting = await sendWords(session, "next", { sessionId });
    await takeUp(session, runId);
    const call = { case: "toolCallProposed", value: { callId: "c1", tool: "files.read" } } as const;
    const events = [encodeEvent({ runId, step: 1, attempt: 1, body: call })];
    const callEvents = events.map((bytes) => fromBinary(EventSchema, bytes));
    const batch = { sessionId, runId, epoch: 1, batchNo: 1, events, callEvents, actedCommandId: 0, readMessageIds: [] };
    await session.store.appendBatch({ tenant: person.tenant, ...batch, finish: undefined });
    const { forkId, headSeq } = await fork(session, sessionId);
    const head = Number(headSeq);
    const ends = [
      [head - 2, head - 2, "toolCallFinished"],
      [head - 1, head - 1, "runFinished"],
      [head, head, "runFinished"],
    ];
    await sendWords(session, "later", { sessionId: forkId });
    expect((await readUntil(forkId, runId)).heard.slice(-2)).toEqual(ends.slice(0, 2));
    expect((await readUntil(forkId, waiting.runId)).heard.slice(-3)).toEqual(ends);
    expect(await readUntil(forkId, runId, headSeq)).toEqual(nothing);
    expect(await readUntil(forkId, "run_missing")).toEqual(notFound);
  });

  it("is refused for a run of the original that came after the fork", async () => {
    const { session, readUntil } = await setUp();
    const { sessionId, finishedSeq } = await sendAndCancel(session);
    const { forkId } = await fork(session, sessionId, finishedSeq);
    const later = await sendAndCancel(session, sessionId);
    await sendAndCancel(session, forkId);
    expect(await readUntil(forkId, later.runId)).toEqual(notFound);
    expect(await readUntil(forkId, later.runId, BigInt(finishedSeq))).toEqual(notFound);
  });
});

describe("a reader whose session's history is replaced", () => {
  it(`is told so, and never given what the new log has ${verifies("S5")}`, async () => {
    const { tokens } = await startSessionService();
    const encoded = [encodeEvent({ body: { case: "sessionUpdated", value: {} } })];
    const events = stampEvents(encoded, 0, Date.now()).map(({ bytes }) => bytes);
    let reads = 0;
    const remote = createRouterTransport((router) =>
      router.service(RawSessionService, {
        listEvents() {
          if (reads++ === 0) return { logId: "log_1" };
          throw failure(ErrorReason.LOG_REPLACED, "history was replaced", {
            metadata: { log_id: "log_2", oldest_seq: "1", head_seq: "1" },
          });
        },
        async *watch(requests) {
          for await (const { frame } of requests) {
            if (frame.case !== "create") continue;
            const value = { watchId: frame.value.watchId, logId: "log_2", headSeq: 1n, events };
            yield { frame: { case: "batch", value } };
          }
        },
      }),
    );
    const { client } = await startTestGateway({ tokens, remote });
    const heard: bigint[] = [];
    const reading = (async () => {
      for await (const response of client.subscribe({ sessionId: "ses_1" }, { timeoutMs: soonMs })) {
        heard.push(...response.events.map(({ seq }) => seq));
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: Code.OutOfRange });
    expect(heard).toEqual([]);
  });
});

describe("the first reader of a long session", () => {
  it(`has all of it from the log, and what comes from a watch that begins at the head ${verifies("S1", "S2", "L7")}`, async () => {
    const { tokens } = await startSessionService();
    const logId = "log_1";
    const encoded = Array.from({ length: 1_000 }, () => encodeEvent({ body: { case: "sessionUpdated", value: {} } }));
    const log = stampEvents(encoded, 0, Date.now());
    const commit = () => log.push(...stampEvents(encoded.slice(0, 1), log.length, Date.now()));
    const watchedFrom: bigint[] = [];
    let reads = 0;
    const remote = createRouterTransport((router) =>
      router.service(RawSessionService, {
        listEvents({ cursor, pageSize }) {
          const headSeq = BigInt(log.length);
          const after = Number(cursor?.afterSeq ?? 0n);
          const events = log.slice(after, after + pageSize).map(({ bytes }) => bytes);
          // While it reads, the log grows: before the watch, and behind it.
          if (reads++ < 5) commit();
          return { logId, headSeq, events };
        },
        async *watch(requests) {
          const frames = new FrameQueue<object>();
          void (async () => {
            for await (const { frame } of requests) {
              if (frame.case !== "create") continue;
              const { watchId, cursor } = frame.value;
              watchedFrom.push(cursor?.afterSeq ?? 0n);
              const events = log.slice(Number(cursor?.afterSeq)).map(({ bytes }) => bytes);
              const value = { watchId, logId, headSeq: BigInt(log.length), events };
              if (events.length > 0) frames.offer({ frame: { case: "batch", value } });
            }
          })().catch(() => undefined);
          yield* frames as AsyncIterable<never>;
        },
      }),
    );
    const { client } = await startTestGateway({ tokens, remote });
    const seqs: number[] = [];
    for await (const { events } of client.subscribe({ sessionId: "ses_1" }, { timeoutMs: soonMs })) {
      seqs.push(...events.map(({ seq }) => Number(seq)));
      if (seqs.length === 1_005) break;
    }
    expect(seqs).toEqual(Array.from({ length: 1_005 }, (_, index) => index + 1));
    expect(watchedFrom).toEqual([1_000n]);
  });
});
