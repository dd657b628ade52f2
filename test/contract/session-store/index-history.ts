// Random histories of a tenant's sessions, and readers that keep a list by the index feed.
import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { expect } from "vitest";
import type { IndexPlace, SessionRow } from "../../../services/session/store/rows.ts";
import type { SessionStore } from "../../../services/session/store/session-store.ts";
import { close, remove, rename, updated, whole } from "./index-fixture.ts";
import {
  accept,
  batchOf,
  followUp,
  makeSession,
  runFinished,
  runStarted,
  type StoreUnderTest,
  scope,
} from "./store-fixture.ts";

export const byId = (one: SessionRow, other: SessionRow): number => (one.sessionId < other.sessionId ? -1 : 1);

export const anyHistory = fc.array(
  fc.record({
    kind: fc.constantFrom("create", "create", "submit", "run", "rename", "close", "delete", "idle", "sweep", "reopen"),
    pick: fc.nat({ max: 1_000 }),
    reader: fc.nat({ max: 2 }),
    reads: fc.boolean(),
    limit: fc.integer({ min: 1, max: 4 }),
    pages: fc.integer({ min: 1, max: 3 }),
  }),
  { minLength: 5, maxLength: 40 },
);

type Step = typeof anyHistory extends fc.Arbitrary<readonly (infer S)[]> ? S : never;

/** Changes sessions of one tenant at random. */
export class Changes {
  readonly #test: StoreUnderTest;
  readonly #by: typeof scope;
  readonly #ids: string[] = [];

  constructor(test: StoreUnderTest, by: typeof scope) {
    this.#test = test;
    this.#by = by;
  }

  async make({ kind, pick }: Step): Promise<void> {
    const { store } = this.#test;
    const sessionId = this.#ids[pick % Math.max(this.#ids.length, 1)] ?? "";
    this.#test.nowMs += 1;
    switch (kind) {
      case "create":
        this.#ids.push((await makeSession(store, { title: randomUUID() }, this.#by)).sessionId);
        return;
      case "submit":
        if ((await store.getSession(this.#by, { sessionId }))?.state === "closed") return;
        if (sessionId !== "") await accept(store, sessionId, {}, this.#by);
        return;
      case "run":
        for (const { run } of await store.claimRuns({ limit: 2, events: runStarted })) {
          await store.appendBatch(batchOf(run, 1));
          if (pick % 2 === 0) continue;
          const finish = { status: 1, failure: new Uint8Array(), followUp: followUp() };
          await store.appendBatch(batchOf(run, 2, { events: [runFinished(run.runId)], finish }));
        }
        return;
      case "rename":
        await rename(store, sessionId, randomUUID(), this.#by);
        return;
      case "close":
        await close(store, sessionId, this.#by);
        return;
      case "delete":
        await remove(store, sessionId, this.#by);
        this.#ids.splice(this.#ids.indexOf(sessionId), sessionId === "" ? 0 : 1);
        return;
      case "idle":
        await store.sweepIdle({ defaultTimeoutMs: 2, limit: 3, event: () => updated });
        return;
      case "sweep":
        await store.sweepDeletedSessions(this.#test.nowMs - (pick % 5));
        return;
      case "reopen":
        await this.#test.reopen();
        return;
    }
  }
}

/** Keeps a list by the feed; takes the list again when the feed says that it may have missed a deletion. */
export class Reader {
  readonly #tenant: string;
  readonly #known = new Map<string, SessionRow>();
  #place: Pick<IndexPlace, "feedId"> & { readonly afterSeq: number } = { feedId: "", afterSeq: -1 };

  constructor(tenant: string) {
    this.#tenant = tenant;
  }

  async readOn(store: SessionStore, limit: number, pages: number): Promise<void> {
    if (this.#place.afterSeq < 0) await this.#takeList(store);
    for (let page = 0; page < pages; page++) {
      const { entries, feedId, headSeq, oldestSeq } = await store.readIndex(
        { tenant: this.#tenant },
        { afterSeq: this.#place.afterSeq, limit },
      );
      expect(this.#place.afterSeq).toBeLessThanOrEqual(headSeq);
      if (this.#place.feedId !== "") expect(feedId).toBe(this.#place.feedId);
      if (this.#place.afterSeq + 1 < oldestSeq) {
        await this.#takeList(store);
        continue;
      }
      for (const entry of entries) {
        expect(entry.seq).toBeGreaterThan(this.#place.afterSeq);
        this.#place = { feedId, afterSeq: entry.seq };
        if (entry.kind === "deleted") this.#known.delete(entry.sessionId);
        else this.#known.set(entry.session.sessionId, entry.session);
      }
      if (entries.length < limit) return;
    }
  }

  sorted(): SessionRow[] {
    return [...this.#known.values()].toSorted(byId);
  }

  async #takeList(store: SessionStore): Promise<void> {
    this.#known.clear();
    const by = { ...scope, tenant: this.#tenant };
    const { sessions, index } = await store.listSessions(by, whole);
    for (const session of sessions) this.#known.set(session.sessionId, session);
    this.#place = { feedId: index.feedId, afterSeq: index.headSeq };
  }
}
