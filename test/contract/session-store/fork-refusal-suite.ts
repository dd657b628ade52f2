// The contract of SessionStore.forkSession: what is refused, and that it changes nothing.
import { describe, expect, it } from "vitest";
import { encodeEvent } from "../../../services/kernel/event/encode-event.ts";
import type { StoredEvent } from "../../../services/kernel/event/stored-event.ts";
import { verifies } from "../../requirements.ts";
import { forksIn } from "./fork-fixture.ts";
import {
  accept,
  append,
  batchOf,
  decodeEvents,
  makeSession,
  otherTenant,
  type SessionStoreDriver,
  StoreUnderTest,
  scope,
  startRun,
} from "./store-fixture.ts";

export function sessionForkRefusalSuite(driver: SessionStoreDriver): void {
  describe("forks", () => {
    const test = new StoreUnderTest(driver);
    const { tryFork, fork, getSession, readAll } = forksIn(test);

    /** What the block says, by the rule of S3. */
    const textOf = (events: readonly StoredEvent[]): string =>
      decodeEvents(events).reduce(
        (text, { body }) =>
          body.case === "textDelta" ? text.slice(0, Number(body.value.offset)) + body.value.text : text,
        "",
      );

    it(`are refused inside a merged delta, with the seqs beside it ${verifies("S3")}`, async () => {
      const { run } = await startRun(test.store);
      let length = 0;
      for (let batchNo = 1; batchNo <= 8; batchNo++) {
        const events = Array.from({ length: 50 }, () =>
          encodeEvent({
            ...{ runId: run.runId, step: 1, attempt: 1 },
            body: {
              case: "textDelta",
              value: { blockId: "1.1.0", offset: BigInt(length), text: String(length++ % 10) },
            },
          }),
        );
        await append(test.store, batchOf(run, batchNo, { events }));
      }
      const before = await fork(run.sessionId, { atSeq: 100 });
      await test.store.compactLogs({ maxWindows: 9 });
      expect(await tryFork(run.sessionId, { atSeq: 100 })).toEqual({ kind: "seq-merged", beforeSeq: 3, afterSeq: 256 });
      const log = await readAll(run.sessionId);
      for (const atSeq of [3, 256, 300]) {
        const { session } = await fork(run.sessionId, { atSeq });
        const copied = await readAll(session.sessionId);
        expect(copied.slice(0, -1)).toEqual(log.filter(({ seq }) => seq <= atSeq));
        // What comes behind is merged as in any log.
        for (let i = 0; i < 150; i++) await accept(test.store, session.sessionId, { maxQueuedRuns: 999 });
        const { windows } = await test.store.compactLogs({ maxWindows: 9 });
        expect(windows).toBeGreaterThan(0);
        const merged = await readAll(session.sessionId);
        expect(merged.map(({ firstSeq }) => firstSeq)).toEqual([1, ...merged.slice(0, -1).map(({ seq }) => seq + 1)]);
        expect(textOf(merged)).toBe(textOf(copied));
      }
      expect((await readAll(before.session.sessionId)).at(-1)?.seq).toBe(101);
    });

    it("that are refused change nothing", async () => {
      const { sessionId } = await makeSession(test.store, { key: "taken" });
      await accept(test.store, sessionId);
      const { logId } = await getSession(sessionId);
      const count = () => test.store.countSessions(scope, { activeSinceMs: 0 });
      const before = await count();
      const missing = { kind: "session-not-found" };
      expect(await tryFork("nowhere")).toEqual(missing);
      expect(await tryFork(sessionId, {}, otherTenant)).toEqual(missing);
      await makeSession(test.store, {}, otherTenant);
      expect(await tryFork(sessionId, {}, otherTenant)).toEqual(missing);
      expect(await tryFork(sessionId, { key: "taken" })).toEqual({ kind: "key-taken", sessionId });
      expect(await tryFork(sessionId, { atSeq: 3 })).toEqual({ kind: "seq-ahead", logId, oldestSeq: 1, headSeq: 2 });
      expect(await tryFork(sessionId, { maxBytes: 10 })).toEqual({ kind: "log-too-large" });
      expect(await count()).toEqual(before);
    });
  });
}
