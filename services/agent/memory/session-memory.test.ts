import { createClient } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { verifies } from "../../../test/requirements.ts";
import {
  as,
  person,
  type RunningSession,
  sendWords,
  startSessionService,
} from "../../../test/support/session-service.ts";
import { encodeEvent } from "../../kernel/event/encode-event.ts";
import { stampEvents } from "../../kernel/event/wire/stamp-events.fixture.ts";
import { RawSessionService } from "../../kernel/rpc/hops/raw-session-service.ts";
import { SessionMemory } from "./session-memory.ts";

/** A memory in front of a real session service; `reads` are the sessions whose log it asked for. */
async function setUp(maxSessions: number, maxRuns = 100) {
  const session = await startSessionService();
  const client = createClient(RawSessionService, session.inMemory);
  const reads: string[] = [];
  const counted: typeof client = {
    ...client,
    listEvents: (request, options) => {
      reads.push(request.sessionId ?? "");
      return client.listEvents(request, options);
    },
  };
  const memory = new SessionMemory(counted, { maxSessions, maxRuns });
  const read = async (sessionId: string, recent: readonly Uint8Array[] = []) => {
    const { session: row } = await client.getSession({ by: { case: "sessionId", value: sessionId } }, as(person));
    if (row === undefined) throw new Error("there is no session");
    return memory.read(row, recent, as(person));
  };
  return { session, memory, reads, read };
}

const make = async (session: RunningSession) => (await sendWords(session, "hello")).sessionId;

describe("the conversations that a worker remembers", () => {
  it(`are no more than it may, and the least used leaves first ${verifies("L7")}`, async () => {
    const { session, memory, reads, read } = await setUp(2);
    const [a, b, c] = [await make(session), await make(session), await make(session)];
    expect(memory.counts()).toEqual({ cachedSessions: 0, cachedSessionsCapacity: 2 });
    await read(a);
    await read(b);
    await read(a);
    await read(c);
    expect(memory.counts()).toEqual({ cachedSessions: 2, cachedSessionsCapacity: 2 });
    expect(reads).toEqual([a, b, c]);
    await read(a);
    expect(reads).toEqual([a, b, c]);
    await read(b);
    expect(reads).toEqual([a, b, c, b]);
    expect(memory.counts().cachedSessions).toBe(2);
  });

  it("are read from the log where they end, and not at all when what came with the offer joins them", async () => {
    const { session, reads, read } = await setUp(8);
    const sessionId = await make(session);
    const first = await read(sessionId);
    const { events } = await session.client.listEvents({ sessionId }, as(person));
    await sendWords(session, "more", { sessionId });
    const { events: all } = await session.client.listEvents({ sessionId }, as(person));
    expect(await read(sessionId, all.slice(events.length - 1))).toBe(first);
    expect(reads).toEqual([sessionId]);
    await sendWords(session, "and more", { sessionId });
    // What does not join is not used.
    const { events: newest } = await session.client.listEvents({ sessionId }, as(person));
    expect(await read(sessionId, newest.slice(-1))).toBe(first);
    expect(reads).toEqual([sessionId, sessionId]);
  });

  it("is folded afresh when the log was replaced", async () => {
    const { session, memory, read } = await setUp(8);
    const sessionId = await make(session);
    const fold = await read(sessionId);
    const gone = memory.read({ sessionId, logId: "log_other", headSeq: 3n }, [], as(person));
    await expect(gone).rejects.toThrow("another log");
    // What could not be read is not remembered.
    expect(memory.counts().cachedSessions).toBe(0);
    expect(await read(sessionId)).not.toBe(fold);
  });

  it(`keeps of each session the newest runs ${verifies("L7")}`, async () => {
    const { memory, reads } = await setUp(8, 2);
    const encoded = ["run_1", "run_2", "run_3"].map((runId) =>
      encodeEvent({ runId, body: { case: "runStarted", value: {} } }),
    );
    const recent = stampEvents(encoded, 0, 1).map(({ bytes }) => bytes);
    const fold = await memory.read({ sessionId: "ses_1", logId: "log_1", headSeq: 3n }, recent, as(person));
    expect(fold.runs.map(({ runId }) => runId)).toEqual(["run_2", "run_3"]);
    expect(reads).toEqual([]);
  });
});
