// The contract of SessionStore.readIndex: who takes a list and reads on ends with what the list would be.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { IndexEntry, SessionRow } from "../../../services/session/store/rows.ts";
import type { SessionStore } from "../../../services/session/store/session-store.ts";
import { verifies } from "../../requirements.ts";
import { close, remove, rename, updated, whole } from "./index-fixture.ts";
import {
  accept,
  append,
  batchOf,
  claimOne,
  delta,
  lastBatchOf,
  makeSession,
  otherTenant,
  outcomeOf,
  type SessionStoreDriver,
  StoreUnderTest,
  scope,
  startRun,
} from "./store-fixture.ts";

/** The newest entry of each session after a place. */
const show = (entries: readonly IndexEntry[]): string[] =>
  entries.map((entry) =>
    entry.kind === "deleted" ? `${entry.sessionId} deleted` : `${entry.session.sessionId} ${entry.session.headSeq}`,
  );

import { anyHistory, byId, Changes, Reader } from "./index-history.ts";

export function sessionIndexSuite(driver: SessionStoreDriver): void {
  describe(`the index feed ${verifies("S6")}`, () => {
    const test = new StoreUnderTest(driver);

    const read = (afterSeq = 0, limit = 1_000) => test.store.readIndex(scope, { afterSeq, limit });
    const headSeq = async (): Promise<number> => (await read()).headSeq;

    /** What a change put into the feed, which must be one session's entry at the feed's head. */
    async function entryOf(change: () => Promise<unknown>): Promise<IndexEntry> {
      const before = await headSeq();
      await change();
      const { entries, headSeq: after } = await read(before);
      const [entry] = entries;
      if (entry === undefined || entries.length > 1) return expect.fail(`the change made ${entries.length} entries`);
      expect(entry.seq).toBe(after);
      return entry;
    }

    it("moves a session to its head with every change, as it is then", async () => {
      const { store } = test;
      let sessionId = "";
      const created = await entryOf(async () => {
        ({ sessionId } = await makeSession(store, { title: "a" }));
      });
      expect(created).toMatchObject({ kind: "session", session: { sessionId, title: "a", state: "created" } });
      const stored = () => store.getSession(scope, { sessionId });
      const expectEntry = async (change: () => Promise<unknown>, facts: Partial<SessionRow>): Promise<void> => {
        const entry = await entryOf(change);
        expect(entry).toMatchObject({ kind: "session", session: { sessionId, ...facts } });
        expect(entry.kind === "session" && entry.session).toEqual(await stored());
        expect((await stored())?.indexSeq).toBe(entry.seq);
      };
      await expectEntry(() => accept(store, sessionId), { state: "active", queuedRuns: 1, headSeq: 2 });
      const { run } = await claimOneLater(expectEntry, store);
      await expectEntry(() => append(store, batchOf(run, 1)), { headSeq: 4, activeRunId: run.runId });
      await expectEntry(() => append(store, lastBatchOf(run, 2)), { headSeq: 5, activeRunId: "" });
      await expectEntry(() => rename(store, sessionId, "b"), { title: "b", headSeq: 6 });
      test.nowMs += 1_000;
      const sweep = { defaultTimeoutMs: 1, limit: 10, event: () => updated };
      await expectEntry(() => store.sweepIdle(sweep), { state: "idle" });
      await expectEntry(() => close(store, sessionId), { state: "closed" });
      expect(await entryOf(() => remove(store, sessionId))).toMatchObject({ kind: "deleted", sessionId });
    });

    it("gives outcomes with the place that the change took", async () => {
      const { store } = test;
      const made = await makeSession(store);
      expect(made.indexSeq).toBe(1);
      const { session } = await accept(store, made.sessionId);
      expect(session).toEqual(await store.getSession(scope, made));
      const renamed = outcomeOf(await rename(store, made.sessionId, "b"));
      expect(renamed.session).toEqual(await store.getSession(scope, made));
    });

    it("is silent about what changes nothing: reads, refusals, repeats, compaction, search", async () => {
      const { store } = test;
      const { run, session } = await startRun(store);
      await append(store, batchOf(run, 1, { events: Array.from({ length: 600 }, () => delta(run.runId, "x")) }));
      const before = await headSeq();
      expect((await store.compactLogs({ maxWindows: 10 })).windows).toBeGreaterThan(0);
      expect((await store.indexMessages({ maxEvents: 1_000, maxBytes: 1e6 })).events).toBeGreaterThan(0);
      await store.appendBatch({ ...batchOf(run, 9), epoch: 7 });
      await store.appendBatch(batchOf(run, 1));
      await rename(store, "unknown", "x");
      await store.listSessions(scope, whole);
      await remove(store, "unknown");
      expect(await headSeq()).toBe(before);
      expect((await store.getSession(scope, session))?.indexSeq).toBe(before);
    });

    it("gives a session once, however often it changed, in the order of the last changes", async () => {
      const { store } = test;
      const [a, b, c] = [await makeSession(store), await makeSession(store), await makeSession(store)];
      await accept(store, a.sessionId);
      await accept(store, b.sessionId);
      await accept(store, a.sessionId);
      expect(show((await read()).entries)).toEqual([`${c.sessionId} 0`, `${b.sessionId} 2`, `${a.sessionId} 4`]);
    });

    it("is read in pages that follow one another", async () => {
      const { store } = test;
      const made: string[] = [];
      for (let count = 0; count < 7; count++) made.push((await makeSession(store)).sessionId);
      const [first = "", , third = ""] = made;
      await remove(store, third);
      await accept(store, first);
      const all = show((await read()).entries);
      expect(all).toHaveLength(7);
      for (const limit of [1, 2, 3, 7]) {
        const paged: string[] = [];
        let afterSeq = 0;
        for (;;) {
          const { entries } = await read(afterSeq, limit);
          expect(entries.length).toBeLessThanOrEqual(limit);
          paged.push(...show(entries));
          if (entries.length < limit) break;
          afterSeq = entries.at(-1)?.seq ?? 0;
        }
        expect(paged).toEqual(all);
      }
    });

    it("forgets deleted sessions when it is told to, and says from where it is whole", async () => {
      const { store } = test;
      const [a, b, c] = [await makeSession(store), await makeSession(store), await makeSession(store)];
      expect(await read()).toMatchObject({ oldestSeq: 1, headSeq: 3 });
      await remove(store, a.sessionId);
      test.nowMs += 1_000;
      await remove(store, b.sessionId);
      expect(await store.sweepDeletedSessions(test.nowMs)).toBe(1);
      expect(await read()).toMatchObject({ oldestSeq: 5, headSeq: 5 });
      expect(show((await read()).entries)).toEqual([`${c.sessionId} 0`, `${b.sessionId} deleted`]);
      expect(await store.sweepDeletedSessions(test.nowMs)).toBe(0);
      expect(await store.sweepDeletedSessions(test.nowMs + 1)).toBe(1);
      expect(await read()).toMatchObject({ oldestSeq: 6, headSeq: 5 });
    });

    it(`never gives a place twice, also after a restart that finds nothing at the head ${verifies("S4")}`, async () => {
      await makeSession(test.store);
      const gone = await makeSession(test.store);
      await remove(test.store, gone.sessionId);
      const { feedId, headSeq: before } = await read();
      await test.store.sweepDeletedSessions(test.nowMs + 1);
      await test.reopen();
      expect(await read()).toMatchObject({ feedId, headSeq: before, oldestSeq: before + 1 });
      expect((await makeSession(test.store)).indexSeq).toBe(before + 1);
      await test.reopen();
      expect((await makeSession(test.store)).indexSeq).toBe(before + 2);
    });

    it("keeps tenants apart, each with a feed of its own", async () => {
      const { store } = test;
      expect(await read()).toEqual({ feedId: "", headSeq: 0, oldestSeq: 1, entries: [] });
      const mine = await makeSession(store);
      const theirs = await makeSession(store, {}, otherTenant);
      expect([mine.indexSeq, theirs.indexSeq]).toEqual([1, 1]);
      await remove(store, theirs.sessionId, otherTenant);
      const other = await store.readIndex(otherTenant, { afterSeq: 0, limit: 10 });
      expect(show(other.entries)).toEqual([`${theirs.sessionId} deleted`]);
      expect(show((await read()).entries)).toEqual([`${mine.sessionId} 0`]);
      expect(other.feedId).not.toBe((await read()).feedId);
    });

    it("begins where the first page of a list says, so that nothing between list and feed is lost", async () => {
      const { store } = test;
      const [a, b, c] = [await makeSession(store), await makeSession(store), await makeSession(store)];
      const list = (pageToken: string) =>
        store.listSessions(scope, { ...whole, order: "updated-desc", pageSize: 2, pageToken });
      test.nowMs += 1;
      const first = await list("");
      await accept(store, a.sessionId);
      await remove(store, b.sessionId);
      const second = await list(first.nextPageToken);
      const listed = [...first.sessions, ...second.sessions].map(({ sessionId }) => sessionId);
      const { entries } = await read(first.index.headSeq);
      expect(show(entries)).toEqual([`${a.sessionId} 2`, `${b.sessionId} deleted`]);
      expect(new Set([...listed, a.sessionId])).toEqual(new Set([a.sessionId, b.sessionId, c.sessionId]));
      expect(first.index.feedId).toBe((await read()).feedId);
    });

    it("leaves readers that are cut and resumed with what a list would be, whatever happened meanwhile", async () => {
      let round = 0;
      const property = fc.asyncProperty(anyHistory, async (history) => {
        const tenant = `round-${round++}`;
        const changes = new Changes(test, { ...scope, tenant });
        const readers = [new Reader(tenant), new Reader(tenant), new Reader(tenant)];
        for (const step of history) {
          await changes.make(step);
          const reader = readers[step.reader];
          if (step.reads) await reader?.readOn(test.store, step.limit, step.pages);
        }
        const { sessions } = await test.store.listSessions({ ...scope, tenant }, whole);
        for (const reader of readers) {
          await reader.readOn(test.store, 2, Number.POSITIVE_INFINITY);
          expect(reader.sorted()).toEqual(sessions.toSorted(byId));
        }
      });
      await fc.assert(property, { numRuns: 60 });
    });
  });

  async function claimOneLater(
    expectEntry: (change: () => Promise<unknown>, facts: Partial<SessionRow>) => Promise<void>,
    store: SessionStore,
  ) {
    let claimed: Awaited<ReturnType<typeof claimOne>> | undefined;
    const claim = async (): Promise<void> => {
      claimed = await claimOne(store);
    };
    await expectEntry(claim, { queuedRuns: 0, headSeq: 3 });
    return claimed ?? expect.fail("no run was claimed");
  }
}
