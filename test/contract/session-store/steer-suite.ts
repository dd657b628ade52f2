// The contract of SessionStore: messages that steer the active run, and commands as rows.
import { describe, expect, it } from "vitest";
import { maxOpenCommands } from "../../../services/session/rules/judge-submit.ts";
import type { CancelOutcome, NewMessage } from "../../../services/session/store/changes.ts";
import type { RunRow } from "../../../services/session/store/rows.ts";
import { verifies } from "../../requirements.ts";
import {
  accept,
  append,
  batchOf,
  claimOne,
  decodeEvents,
  followUp,
  lastBatchOf,
  makeSession,
  otherTenant,
  outcomeOf,
  readLog,
  request,
  runFinished,
  runStarted,
  type SessionStoreDriver,
  StoreUnderTest,
  scope,
  startRun,
  submit,
  wish,
} from "./store-fixture.ts";

const steer: Partial<NewMessage> = { entry: { kind: "steer", command: Uint8Array.of(7) } };

const kindsOf = (events: Parameters<typeof decodeEvents>[0]) => decodeEvents(events).map(({ body }) => body.case);

export function sessionSteerSuite(driver: SessionStoreDriver): void {
  describe("messages that steer", () => {
    const test = new StoreUnderTest(driver);
    const openOf = async (run: RunRow) => (await test.store.listCommands(run)).map(({ commandId }) => commandId);

    it(`join the active run as a command that is a row until it is acted on ${verifies("R3")}`, async () => {
      const { run, session } = await startRun(test.store);
      const first = await accept(test.store, session.sessionId, steer);
      expect(first).toMatchObject({
        run: { runId: run.runId, messageIds: [...run.messageIds, first.messageId] },
        seq: 4,
        commanded: [{ run: { runId: run.runId }, command: { commandId: 1, kind: "steer" } }],
        session: { queuedRuns: 0, messageCount: 2 },
      });
      expect(decodeEvents(first.appended.events)).toMatchObject([
        { body: { case: "messageReceived", value: { runId: run.runId, messageId: first.messageId } } },
      ]);
      await accept(test.store, session.sessionId, steer);
      await test.reopen();
      expect((await test.store.listCommands(run))[0]).toEqual({
        commandId: 1,
        kind: "steer",
        payload: Uint8Array.of(7),
        createdAtMs: test.nowMs,
      });
      await append(test.store, batchOf(run, 1, { actedCommandId: 1 }));
      expect(await openOf(run)).toEqual([2]);
      // Numbers are not used twice, though the first row is gone.
      expect((await accept(test.store, session.sessionId, steer)).commanded[0]?.command.commandId).toBe(3);
      await append(test.store, batchOf(run, 2, { actedCommandId: 99 }));
      expect(await openOf(run)).toEqual([]);
      expect((await accept(test.store, session.sessionId, steer)).commanded[0]?.command.commandId).toBe(4);
    });

    it(`are closed by the step that reads their message, by whatever way the worker knows of it ${verifies("R1")}`, async () => {
      const { run, session } = await startRun(test.store);
      const [first, second] = [
        await accept(test.store, session.sessionId, steer),
        await accept(test.store, session.sessionId, steer),
      ];
      // Also the later one of two: the earlier one is not closed with it.
      await append(test.store, batchOf(run, 1, { readMessageIds: [second.messageId, ...run.messageIds, "nowhere"] }));
      expect(await openOf(run)).toEqual([1]);
      const cancel = { runId: run.runId, ...wish() };
      await test.store.cancelRun(
        scope,
        request<CancelOutcome>(() => ""),
        cancel,
      );
      await append(test.store, batchOf(run, 2, { readMessageIds: [first.messageId] }));
      expect(await openOf(run)).toEqual([3]);
      const ended = await append(test.store, lastBatchOf(run, 3));
      expect(decodeEvents(ended.appended.events)).toMatchObject([{ body: { case: "runFinished" } }]);
      expect(ended.run.messageIds).toEqual([...run.messageIds, first.messageId, second.messageId]);
    });

    it("close no command with a batch that is refused or answered again", async () => {
      const { run, session } = await startRun(test.store);
      await append(test.store, batchOf(run, 1));
      await accept(test.store, session.sessionId, steer);
      await test.store.appendBatch(batchOf(run, 1, { actedCommandId: 1 }));
      await test.store.appendBatch(batchOf({ ...run, epoch: 9 }, 2, { actedCommandId: 1 }));
      await test.store.appendBatch(batchOf(run, 7, { actedCommandId: 1 }));
      expect(await openOf(run)).toEqual([1]);
    });

    it("stay open over a take-over", async () => {
      const { run, session } = await startRun(test.store);
      await accept(test.store, session.sessionId, steer);
      await test.store.takeOverRun(run, runStarted);
      expect(await openOf(run)).toEqual([1]);
      expect(await test.store.listCommands({ ...run, tenant: otherTenant.tenant })).toEqual([]);
      expect(await test.store.listCommands({ ...run, runId: "nowhere" })).toEqual([]);
    });

    it(`that the run never read get a run of their own, behind its end ${verifies("R2", "R3")}`, async () => {
      const { run, session } = await startRun(test.store);
      const waiting = await accept(test.store, session.sessionId);
      const read = await accept(test.store, session.sessionId, steer);
      const unread = await accept(test.store, session.sessionId, { ...steer, priority: 1 });
      const urgent = await accept(test.store, session.sessionId, { ...steer, priority: 4 });
      const last = lastBatchOf(run, 1);
      const ended = await append(test.store, { ...last, actedCommandId: 1 });
      expect(ended).toMatchObject({ freesNext: true, firstSeq: 9, lastSeq: 9, appended: { headSeq: 10 } });
      expect(ended.run).toMatchObject({ finishedSeq: 9, messageIds: [...run.messageIds, read.messageId] });
      expect(decodeEvents(ended.appended.events)).toMatchObject([
        { body: { case: "runFinished" } },
        { body: { case: "runQueued", value: { messageIds: [unread.messageId, urgent.messageId], position: 0 } } },
      ]);
      expect(await openOf(run)).toEqual([]);
      const next = await claimOne(test.store);
      expect(next.run).toMatchObject({
        priority: 4,
        messageIds: [unread.messageId, urgent.messageId],
        agentId: run.agentId,
        principal: scope.principal,
        queuedSeq: 10,
      });
      expect(next.run.runId).toBe(last.finish?.followUp.runId);
      await append(test.store, lastBatchOf(next.run, 1));
      expect((await claimOne(test.store)).run.runId).toBe(waiting.run.runId);
      // The last batch is answered as it was the first time, without the event of the follow-up.
      expect(await test.store.appendBatch({ ...last, actedCommandId: 1 })).toEqual({
        kind: "replayed",
        firstSeq: 9,
        lastSeq: 9,
      });
      await readLog(test.store, session.sessionId);
    });

    it(`get a run of their own as well when the service ends the run ${verifies("R2")}`, async () => {
      const { run, session } = await startRun(test.store);
      const { messageId } = await accept(test.store, session.sessionId, steer);
      const ending = { status: 2, failure: new Uint8Array(), followUp: followUp("run_next") };
      const finished = await test.store.finishRun(run, { ...ending, event: () => runFinished(run.runId) });
      expect(kindsOf(finished?.appended.events ?? [])).toEqual(["runFinished", "runQueued"]);
      expect((await claimOne(test.store)).run).toMatchObject({ runId: "run_next", messageIds: [messageId] });
    });

    it("make a run like any other when none is active, or the active one was asked to stop", async () => {
      const { sessionId } = await makeSession(test.store);
      const first = await accept(test.store, sessionId, steer);
      expect(first).toMatchObject({ commanded: [], run: { state: "queued" } });
      expect(kindsOf(first.appended.events)).toEqual(["messageReceived", "runQueued"]);
      const { run } = await claimOne(test.store);
      await accept(test.store, sessionId, { entry: { kind: "interrupt", wish: wish() } });
      expect(await accept(test.store, sessionId, steer)).toMatchObject({ commanded: [], run: { state: "queued" } });
      expect(await openOf(run)).toEqual([1]);
    });

    it(`are refused when too many are open, and change nothing ${verifies("L7")}`, async () => {
      const { run, session } = await startRun(test.store);
      for (let count = 0; count < maxOpenCommands; count++) await accept(test.store, session.sessionId, steer);
      expect(await submit(test.store, session.sessionId, steer)).toEqual({ kind: "queue-full", limit: 64 });
      // A cancel is never refused for it.
      const cancelled = await test.store.cancelRun(
        scope,
        request<CancelOutcome>(() => ""),
        { runId: run.runId, ...wish() },
      );
      expect(outcomeOf(cancelled)).toMatchObject({ commanded: [{ command: { commandId: 65, kind: "cancel" } }] });
      expect((await readLog(test.store, session.sessionId)).length).toBe(3 + maxOpenCommands);
    });
  });
}
