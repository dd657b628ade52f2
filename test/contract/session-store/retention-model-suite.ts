// The contract of SessionStore.trimLogs: whatever comes, goes and merges, what is kept is dense.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeEvent } from "../../../services/kernel/event/encode-event.ts";
import type { RunRow } from "../../../services/session/store/rows.ts";
import { verifies } from "../../requirements.ts";
import { logsIn } from "./retention-fixture.ts";
import {
  accept,
  append,
  batchOf,
  claimOne,
  decodeEvents,
  lastBatchOf,
  makeSession,
  type SessionStoreDriver,
  StoreUnderTest,
} from "./store-fixture.ts";

export function sessionRetentionModelSuite(driver: SessionStoreDriver): void {
  describe("retention", () => {
    const test = new StoreUnderTest(driver);
    const { trim, getSession, expectDense } = logsIn(test);

    it(`stays dense whatever comes, goes, merges and restarts in whatever order ${verifies("S1", "S3")}`, async () => {
      const step = fc.oneof(
        fc.record({ kind: fc.constant("append" as const), size: fc.integer({ min: 1, max: 120 }) }),
        fc.record({ kind: fc.constant("compact" as const), size: fc.integer({ min: 1, max: 3 }) }),
        fc.record({ kind: fc.constant("trim" as const), size: fc.integer({ min: 1, max: 400 }) }),
        fc.record({ kind: fc.constant("index" as const), size: fc.integer({ min: 1, max: 300 }) }),
        fc.record({ kind: fc.constant("end" as const), size: fc.constant(0) }),
        fc.record({ kind: fc.constant("reopen" as const), size: fc.constant(0) }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 20 }), async (steps) => {
          const { sessionId } = await makeSession(test.store);
          let run: RunRow | undefined;
          let batchNo = 0;
          let offset = 0;
          for (const { kind, size } of steps) {
            const before = await getSession(sessionId);
            switch (kind) {
              case "append": {
                if (run === undefined) {
                  await accept(test.store, sessionId);
                  ({ run } = await claimOne(test.store));
                  batchNo = 0;
                  offset = 0;
                }
                const place = { runId: run.runId, step: 1, attempt: 1 };
                const events = Array.from({ length: size }, () =>
                  encodeEvent({
                    ...place,
                    body: { case: "textDelta", value: { blockId: "1.1.0", offset: BigInt(offset++), text: "x" } },
                  }),
                );
                await append(test.store, batchOf(run, ++batchNo, { events }));
                break;
              }
              case "end":
                if (run !== undefined) await append(test.store, lastBatchOf(run, ++batchNo));
                run = undefined;
                break;
              case "compact":
                await test.store.compactLogs({ maxWindows: size });
                break;
              case "index":
                await test.store.indexMessages({ maxEvents: size, maxBytes: 1e6 });
                break;
              case "trim":
                await trim({ maxEvents: size }, 1 + (size % 5));
                break;
              case "reopen":
                await test.reopen();
                break;
            }
            const after = await getSession(sessionId);
            expect(after.oldestSeq).toBeGreaterThanOrEqual(before.oldestSeq);
            const kept = await expectDense(sessionId);
            const isStarted = ({ body, runId }: ReturnType<typeof decodeEvents>[number]) =>
              body.case === "runStarted" && runId === run?.runId;
            if (run !== undefined) expect(decodeEvents(kept).some(isStarted)).toBe(true);
            const keptBefore = before.headSeq - before.oldestSeq + 1;
            if (kind === "trim")
              expect(after.headSeq - after.oldestSeq + 1).toBeGreaterThanOrEqual(Math.min(size, keptBefore));
          }
        }),
        { numRuns: 60 },
      );
    });
  });
}
