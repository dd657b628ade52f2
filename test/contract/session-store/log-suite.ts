// The contract of SessionStore, continued: what its logs promise to readers.
import { describe, expect, it } from "vitest";
import type { LogPage } from "../../../services/session/store/pages.ts";
import type { RunRow } from "../../../services/session/store/rows.ts";
import { verifies } from "../../requirements.ts";
import {
  append,
  batchOf,
  delta,
  makeSession,
  readLog,
  type SessionStoreDriver,
  StoreUnderTest,
  scope,
  startRun,
} from "./store-fixture.ts";

type Page = Extract<LogPage, { kind: "page" }>;

export function sessionLogSuite(driver: SessionStoreDriver): void {
  describe("logs", () => {
    const test = new StoreUnderTest(driver);
    const unbounded = { maxEvents: 1_000_000, maxBytes: 1_000_000_000 };

    async function read(sessionId: string, range: Parameters<typeof test.store.readEvents>[2]): Promise<Page> {
      const page = await test.store.readEvents(scope, sessionId, range);
      if (page.kind !== "page") {
        throw new Error("the session is not there");
      }
      return page;
    }

    /** A log of 3 + 3 + 1 + 4 events. */
    async function writeLog(): Promise<RunRow> {
      const { run } = await startRun(test.store);
      for (const [index, size] of [3, 1, 4].entries()) {
        const events = Array.from({ length: size }, (_event, place) => delta(run.runId, `${index}.${place}`));
        await append(test.store, batchOf(run, index + 1, { events }));
      }
      return run;
    }

    it(`yields everything after any cursor, in order, also after a restart ${verifies("S1", "S2")}`, async () => {
      const { sessionId } = await writeLog();
      const log = await readLog(test.store, sessionId);
      expect(log.length).toBe(11);
      await test.reopen();
      for (let afterSeq = 0; afterSeq <= log.length; afterSeq++) {
        const page = await read(sessionId, { afterSeq, ...unbounded });
        expect(page.events).toEqual(log.slice(afterSeq));
        expect(page).toMatchObject({ headSeq: 11, oldestSeq: 1 });
      }
      expect((await read(sessionId, { afterSeq: 99, ...unbounded })).events).toEqual([]);
    });

    it("stops at the last seq that is asked for", async () => {
      const { sessionId } = await writeLog();
      const log = await readLog(test.store, sessionId);
      for (const [afterSeq, throughSeq] of [
        [0, 0],
        [0, 5],
        [4, 8],
        [7, 7],
        [8, 3],
        [2, 99],
      ] as const) {
        const page = await read(sessionId, { afterSeq, throughSeq, ...unbounded });
        expect(page.events).toEqual(log.slice(afterSeq, Math.max(throughSeq, afterSeq)));
      }
    });

    it(`bounds a page by events and by bytes, and gives one event at least ${verifies("L7")}`, async () => {
      const { sessionId } = await writeLog();
      const log = await readLog(test.store, sessionId);
      const first = log[0]?.bytes.length ?? 0;
      const second = log[1]?.bytes.length ?? 0;
      const count = async (maxEvents: number, maxBytes: number) =>
        (await read(sessionId, { afterSeq: 0, maxEvents, maxBytes })).events.length;
      expect(await count(5, 1_000_000)).toBe(5);
      expect(await count(100, first + second)).toBe(2);
      expect(await count(100, first + second - 1)).toBe(1);
      expect(await count(100, 1)).toBe(1);
      expect(await count(0, 1_000)).toBe(1);
    });

    it("reads an empty log, and says when there is no session", async () => {
      const { sessionId, logId } = await makeSession(test.store);
      expect(await read(sessionId, { afterSeq: 0, ...unbounded })).toEqual({
        kind: "page",
        logId,
        events: [],
        headSeq: 0,
        oldestSeq: 0,
      });
      const missing = { kind: "session-not-found" };
      expect(await test.store.readEvents(scope, "nowhere", { afterSeq: 0, ...unbounded })).toEqual(missing);
      expect(await test.store.readEvents({ tenant: "unknown" }, sessionId, { afterSeq: 0, ...unbounded })).toEqual(
        missing,
      );
    });

    it(`stays dense when many sessions append at the same time ${verifies("S1")}`, async () => {
      const runs: RunRow[] = [];
      for (let index = 0; index < 8; index++) {
        runs.push((await startRun(test.store)).run);
      }
      const work = runs.map(async (run, index) => {
        for (let batchNo = 1; batchNo <= 20; batchNo++) {
          const events = Array.from({ length: 1 + ((index + batchNo) % 3) }, () => delta(run.runId, `${batchNo}`));
          const { appended } = await append(test.store, batchOf(run, batchNo, { events }));
          expect(appended.sessionId).toBe(run.sessionId);
        }
      });
      await Promise.all(work);
      await test.reopen();
      for (const [index, run] of runs.entries()) {
        const sizes = Array.from({ length: 20 }, (_batch, batch) => 1 + ((index + batch + 1) % 3));
        const expected = 3 + sizes.reduce((sum, size) => sum + size, 0);
        expect((await readLog(test.store, run.sessionId)).length).toBe(expected);
      }
    });

    it(`shows nothing of an append before it has committed, and all of it after a restart ${verifies("S4")}`, async () => {
      const { run } = await startRun(test.store);
      const headSeq = async () => (await read(run.sessionId, { afterSeq: 0, ...unbounded })).headSeq;
      const appending = append(test.store, batchOf(run, 1));
      expect(await headSeq()).toBe(3);
      expect((await appending).lastSeq).toBe(4);
      expect(await headSeq()).toBe(4);
      await test.reopen();
      expect((await readLog(test.store, run.sessionId)).length).toBe(4);
    });

    it(`uses a seq again only when nobody was told of it ${verifies("S4")}`, async () => {
      const { run } = await startRun(test.store);
      // Both are in one group, so the first is rolled back with the second and commits again on its own.
      const [appended, claim] = await Promise.allSettled([
        append(test.store, batchOf(run, 1)),
        test.store.takeOverRun(run, () => {
          throw new Error("a callback's own fault");
        }),
      ]);
      expect([appended.status, claim.status]).toEqual(["fulfilled", "rejected"]);
      expect(appended).toMatchObject({ value: { firstSeq: 4, lastSeq: 4 } });
      expect((await readLog(test.store, run.sessionId)).length).toBe(4);
    });
  });
}
