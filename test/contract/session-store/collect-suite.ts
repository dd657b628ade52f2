// The contract of SessionStore: messages that are collected into one waiting run.
import { describe, expect, it } from "vitest";
import { maxCollectedMessages } from "../../../services/session/rules/judge-submit.ts";
import type { NewMessage } from "../../../services/session/store/changes.ts";
import { verifies } from "../../requirements.ts";
import { accept, decodeEvents, type SessionStoreDriver, StoreUnderTest, scope, startRun } from "./store-fixture.ts";

const collect: Partial<NewMessage> = { entry: { kind: "collect" } };

export function sessionCollectSuite(driver: SessionStoreDriver): void {
  describe("messages that are collected", () => {
    const test = new StoreUnderTest(driver);

    it(`join the waiting run that another collected message made ${verifies("R3")}`, async () => {
      const { session } = await startRun(test.store);
      const { sessionId } = session;
      const own = await accept(test.store, sessionId);
      const first = await accept(test.store, sessionId, collect);
      expect(first.run.runId).not.toBe(own.run.runId);
      const second = await accept(test.store, sessionId, { ...collect, priority: 3 });
      expect(second).toMatchObject({ run: { runId: first.run.runId, priority: 3 }, session: { queuedRuns: 2 } });
      expect(decodeEvents(second.appended.events)).toMatchObject([
        { body: { case: "messageReceived", value: { runId: first.run.runId } } },
      ]);
      await test.reopen();
      const stored = await test.store.getRun(scope, first.run.runId);
      expect(stored).toMatchObject({ collects: true, messageIds: [first.messageId, second.messageId], priority: 3 });
    });

    it("begin a new run when the one before is full or was taken", async () => {
      const { session } = await startRun(test.store);
      const runs = new Set<string>();
      for (let count = 0; count <= maxCollectedMessages; count++)
        runs.add((await accept(test.store, session.sessionId, collect)).run.runId);
      expect(runs.size).toBe(2);
      const { run } = await startRun(test.store);
      expect((await accept(test.store, run.sessionId, collect)).run.runId).not.toBe(run.runId);
    });

    it("join only what acts for the same principal, agent and options", async () => {
      const { session } = await startRun(test.store);
      const { sessionId } = session;
      const other = { ...scope, principal: "user:other" };
      const runs = [
        await accept(test.store, sessionId, collect),
        await accept(test.store, sessionId, collect, other),
        await accept(test.store, sessionId, { ...collect, agentId: "another" }),
        await accept(test.store, sessionId, { ...collect, options: Uint8Array.of(1) }),
      ].map(({ run }) => run.runId);
      expect(new Set(runs).size).toBe(4);
      expect((await accept(test.store, sessionId, collect, other)).run.runId).toBe(runs[1]);
    });
  });
}
