import { toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { SessionState } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import type { Session } from "../../../gen/atoll/session/v1/session_pb.ts";
import { ListSessionsResponseSchema } from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { IndexEntriesSchema, type IndexEntry } from "../../../gen/atoll/session/v1/watch_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import {
  as,
  person,
  type RunningSession,
  sendWords,
  startSessionService,
  takeUp,
} from "../../../test/support/session-service.ts";
import { ErrorReason } from "../../kernel/errors.ts";
import { newId } from "../../kernel/id.ts";
import { attachByHand } from "../workers/hand-worker.fixture.ts";
import { openWatch, type WatchStream } from "./watch-stream.fixture.ts";

interface Cursor {
  readonly logId: string;
  readonly afterSeq: bigint;
}

const beginning: Cursor = { logId: "", afterSeq: 0n };

const watchIndex = (watch: WatchStream, watchId: number, { logId, afterSeq }: Cursor = beginning): void =>
  watch.send({ watchId: BigInt(watchId), target: { case: "index", value: true }, cursor: { logId, afterSeq } });

const framesOf = (watch: WatchStream, watchId: number) =>
  watch.frames.flatMap((frame) =>
    frame.case === "index" && frame.value.watchId === BigInt(watchId) ? [frame.value] : [],
  );

const entriesOf = (watch: WatchStream, watchId: number): IndexEntry[] =>
  framesOf(watch, watchId).flatMap(({ entries }) => entries);

const list = (session: RunningSession, pageSize = 500, pageToken = "") =>
  session.client.listSessions({ pageSize, pageToken }, as(person));

const make = async ({ client }: RunningSession, title = ""): Promise<Session> => {
  const { session } = await client.createSession({ requestId: newId("req"), title }, as(person));
  return session ?? expect.fail("no session was made");
};

const remove = ({ client }: RunningSession, sessionId: string) =>
  client.deleteSession({ requestId: newId("req"), sessionId }, as(person));

/** A list that is kept by the feed alone. */
class KeptList {
  readonly #sessions = new Map<string, Session>();
  cursor: Cursor;

  constructor(sessions: readonly Session[], cursor: Cursor | undefined) {
    for (const session of sessions) this.#sessions.set(session.sessionId, session);
    this.cursor = cursor ?? beginning;
  }

  take(watch: WatchStream, watchId: number): void {
    for (const { entries, logId } of framesOf(watch, watchId)) {
      for (const { seq, sessionId, session, deleted } of entries) {
        if (seq <= this.cursor.afterSeq) continue;
        this.cursor = { logId, afterSeq: seq };
        if (deleted) this.#sessions.delete(sessionId);
        else if (session !== undefined) this.#sessions.set(sessionId, session);
      }
    }
  }

  sorted(): Session[] {
    return sorted([...this.#sessions.values()]);
  }
}

const sorted = (sessions: readonly Session[]): Session[] =>
  sessions.toSorted((one, other) => (one.sessionId < other.sessionId ? -1 : 1));

describe(`watching the index ${verifies("S6")}`, () => {
  it("begins with every session, then tells of what changes, as it is then", async () => {
    const session = await startSessionService();
    const old = await make(session, "old");
    const watch = openWatch(session);
    watchIndex(watch, 1);
    await watch.until(() => entriesOf(watch, 1).length === 1);
    expect(watch.frames[0]).toMatchObject({ case: "created", value: { watchId: 1n, headSeq: 1n, oldestSeq: 1n } });
    const [first] = entriesOf(watch, 1);
    expect(first).toMatchObject({
      seq: 1n,
      sessionId: old.sessionId,
      title: "old",
      state: SessionState.CREATED,
      headSeq: 0n,
    });
    expect(first?.session).toEqual(old);

    const last = (): IndexEntry | undefined => entriesOf(watch, 1).at(-1);
    const young = await make(session, "young");
    await watch.until(() => last()?.sessionId === young.sessionId);
    const worker = await attachByHand(session.inMemory, "hand");
    await sendWords(session, "hello", { sessionId: old.sessionId });
    const offer = await worker.hear("offer");
    const runId = offer.run?.runId ?? "";
    await watch.until(() => last()?.activeRunId === runId);
    expect(last()).toMatchObject({ sessionId: old.sessionId, state: SessionState.ACTIVE, headSeq: 3n });
    worker.append(offer, 1, { case: "phaseChanged", value: {} });
    await watch.until(() => last()?.headSeq === 4n);
    worker.append(offer, 2, { case: "runFinished", value: { status: 1 } });
    await watch.until(() => last()?.headSeq === 5n && last()?.activeRunId === "");
    await session.client.closeSession({ requestId: newId("req"), sessionId: old.sessionId }, as(person));
    await watch.until(() => last()?.state === SessionState.CLOSED);
    await remove(session, old.sessionId);
    await watch.until(() => last()?.deleted === true);
    expect(last()).toMatchObject({ sessionId: old.sessionId, state: SessionState.UNSPECIFIED, title: "" });
    expect(last()?.session).toBeUndefined();
    const seqs = entriesOf(watch, 1).map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.toSorted((one, other) => Number(one - other)));
  });

  it("tells who was away of each session once, however much happened", async () => {
    const session = await startSessionService();
    const { indexCursor } = await list(session);
    const { sessionId } = await make(session);
    for (let count = 0; count < 5; count++) await sendWords(session, `m${count}`, { sessionId });
    const watch = openWatch(session);
    watchIndex(watch, 1, indexCursor);
    await watch.until(() => entriesOf(watch, 1).length > 0);
    expect(entriesOf(watch, 1)).toMatchObject([{ sessionId, headSeq: 11n, seq: 6n }]);
  });

  it("comes in frames of at most 500, all of them, to a reader that is far behind", async () => {
    const session = await startSessionService();
    const made = await Promise.all(Array.from({ length: 1_100 }, () => make(session)));
    const watch = openWatch(session);
    watchIndex(watch, 1);
    await watch.until(() => entriesOf(watch, 1).length === made.length);
    const counts = framesOf(watch, 1).map(({ entries }) => entries.length);
    expect(counts).toEqual([500, 500, 100]);
    expect(new Set(entriesOf(watch, 1).map(({ sessionId }) => sessionId)).size).toBe(made.length);
  });

  it(`comes, as the list does, in smaller parts where sessions are large ${verifies("L7")}`, async () => {
    const session = await startSessionService();
    const large = Object.fromEntries(
      Array.from({ length: 32 }, (_, index) => [`label-${index}-`.padEnd(64, "k"), "v".repeat(256)]),
    );
    const sessionIds = await Promise.all(
      Array.from({ length: 450 }, async () => {
        const made = await session.client.createSession({ requestId: newId("req"), labels: large }, as(person));
        return made.session?.sessionId ?? "";
      }),
    );
    const watch = openWatch(session);
    watchIndex(watch, 1);
    await watch.until(() => watch.isOver() || entriesOf(watch, 1).length >= sessionIds.length);
    expect(watch.error()).toBeUndefined();
    expect(new Set(entriesOf(watch, 1).map(({ sessionId }) => sessionId))).toEqual(new Set(sessionIds));
    expect(entriesOf(watch, 1)).toHaveLength(sessionIds.length);
    for (const frame of framesOf(watch, 1)) {
      expect(toBinary(IndexEntriesSchema, frame).length).toBeLessThan(1_100_000);
    }
    // A watcher that comes back goes on behind the last frame that it had.
    const [first] = framesOf(watch, 1);
    const again = openWatch(session);
    watchIndex(again, 2, { logId: first?.logId ?? "", afterSeq: first?.entries.at(-1)?.seq ?? 0n });
    await again.until(() => entriesOf(again, 2).length >= sessionIds.length - (first?.entries.length ?? 0));

    const listed: string[] = [];
    for (let token: string | undefined = ""; token !== undefined; ) {
      const page = await list(session, 500, token);
      expect(toBinary(ListSessionsResponseSchema, page).length).toBeLessThan(1_100_000);
      listed.push(...page.sessions.map(({ sessionId }) => sessionId));
      token = page.nextPageToken || undefined;
    }
    expect(listed).toHaveLength(sessionIds.length);
    expect(new Set(listed)).toEqual(new Set(sessionIds));
  });

  it("gives signs of life while nothing happens, and they move the cursor", async () => {
    const session = await startSessionService({ settings: { progressIntervalMs: 20 } });
    await make(session);
    const watch = openWatch(session);
    watchIndex(watch, 1);
    await watch.until(() => watch.frames.some((frame) => frame.case === "progress" && frame.value.headSeq === 1n));
  });

  it(`refuses a cursor that may have missed something, and the list is the way on ${verifies("S5")}`, async () => {
    const session = await startSessionService();
    const kept = await make(session);
    const { indexCursor } = await list(session);
    const gone = await make(session);
    await remove(session, gone.sessionId);
    await session.store.sweepDeletedSessions(Number.MAX_SAFE_INTEGER);
    const watch = openWatch(session);
    watchIndex(watch, 1, indexCursor);
    watchIndex(watch, 2, { logId: indexCursor?.logId ?? "", afterSeq: 9n });
    watchIndex(watch, 3, { logId: "idx_other", afterSeq: 1n });
    const metadata = { log_id: indexCursor?.logId, oldest_seq: "4", head_seq: "3" };
    expect(await watch.endOf(1)).toMatchObject({
      code: Code.OutOfRange,
      reason: ErrorReason.HISTORY_TRIMMED,
      metadata,
    });
    expect(await watch.endOf(2)).toMatchObject({ code: Code.OutOfRange, reason: ErrorReason.CURSOR_AHEAD, metadata });
    expect(await watch.endOf(3)).toMatchObject({ code: Code.OutOfRange, reason: ErrorReason.LOG_REPLACED, metadata });
    const again = await list(session);
    watchIndex(watch, 4, again.indexCursor);
    // Who takes no list is told of all that is there, whatever was deleted before.
    watchIndex(watch, 5);
    await sendWords(session, "hello", { sessionId: kept.sessionId });
    await watch.until(() => entriesOf(watch, 4).length > 0 && entriesOf(watch, 5).at(-1)?.headSeq === 3n);
    expect(entriesOf(watch, 4)).toMatchObject([{ sessionId: kept.sessionId, seq: 4n }]);
  });

  it("has nothing to filter, and is not for a run's token", async () => {
    const session = await startSessionService();
    const { runId } = await sendWords(session, "mine");
    const watch = openWatch(session);
    watch.send({ watchId: 1n, target: { case: "index", value: true }, filter: { include: ["usage"] } });
    watch.send({ watchId: 2n, target: { case: "index", value: false } });
    expect(await watch.endOf(1)).toMatchObject({
      reason: ErrorReason.FIELD_INVALID,
      metadata: { field: "create.filter" },
    });
    expect(await watch.endOf(2)).toMatchObject({
      reason: ErrorReason.FIELD_INVALID,
      metadata: { field: "create.session_id" },
    });
    const holder = openWatch(session, await takeUp(session, runId));
    watchIndex(holder, 1);
    expect(await holder.endOf(1)).toMatchObject({ code: Code.PermissionDenied, reason: ErrorReason.SCOPE_MISSING });
  });

  it("shows a tenant its own sessions", async () => {
    const session = await startSessionService();
    await make(session);
    const watch = openWatch(session, { ...person, tenant: "elsewhere" });
    watchIndex(watch, 1);
    await watch.until(() => watch.frames.some((frame) => frame.case === "created"));
    const requestId = newId("req");
    const made = await session.client.createSession({ requestId }, as({ ...person, tenant: "elsewhere" }));
    await watch.until(() => entriesOf(watch, 1).length > 0);
    expect(entriesOf(watch, 1)).toMatchObject([{ sessionId: made.session?.sessionId, seq: 1n }]);
  });

  it(`keeps a list that was taken in pages, over cuts and a restart, as it would be taken anew ${verifies("S2")}`, async () => {
    let session = await startSessionService();
    const made = await Promise.all(Array.from({ length: 12 }, (_, index) => make(session, `s${index}`)));
    const first = await list(session, 5);
    // What happens between the pages is in the feed.
    await sendWords(session, "hello", { sessionId: made[0]?.sessionId ?? "" });
    await remove(session, first.sessions[1]?.sessionId ?? "");
    const pages = [...first.sessions];
    for (let token = first.nextPageToken; token !== ""; ) {
      const page = await list(session, 5, token);
      pages.push(...page.sessions);
      token = page.nextPageToken;
    }
    const kept = new KeptList(pages, first.indexCursor);
    for (let round = 0; round < 4; round++) {
      const watch = openWatch(session);
      watchIndex(watch, 1, kept.cursor);
      const there = (await list(session)).sessions;
      const at = (index: number): string => there[index % there.length]?.sessionId ?? "";
      await sendWords(session, `round ${round}`, { sessionId: at(round) });
      if (round % 2 === 0) watch.leave();
      await Promise.all([make(session, `round ${round}`), remove(session, at(round + 3))]);
      if (round === 1) {
        await session.stop();
        session = await startSessionService({ folder: session.folder });
      }
      kept.take(watch, 1);
    }
    const { sessions, indexCursor } = await list(session);
    const watch = openWatch(session);
    watchIndex(watch, 1, kept.cursor);
    await watch.until(() => {
      kept.take(watch, 1);
      return kept.cursor.afterSeq === indexCursor?.afterSeq;
    });
    expect(kept.sorted()).toEqual(sorted(sessions));
  });
});
