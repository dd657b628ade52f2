// The contract of SessionStore, continued: messages that steer or are collected, commands as rows, and cancels that reach
// child sessions.
import { describe, expect, it } from "vitest";
import { maxCollectedMessages, maxOpenCommands } from "../../services/session/rules/judge-submit.ts";
import type { CancelOutcome, NewMessage } from "../../services/session/store/changes.ts";
import type { RunRow } from "../../services/session/store/rows.ts";
import { verifies } from "../requirements.ts";
import {
  accept,
  append,
  batchOf,
  claimOne,
  decodeEvents,
  delta,
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
} from "./session-store-fixture.ts";

const steer: Partial<NewMessage> = { entry: { kind: "steer", command: Uint8Array.of(7) } };
const collect: Partial<NewMessage> = { entry: { kind: "collect" } };
const kindsOf = (events: Parameters<typeof decodeEvents>[0]) => decodeEvents(events).map(({ body }) => body.case);

export function sessionCommandsSuite(driver: SessionStoreDriver): void {
  steerSuite(driver);
  collectSuite(driver);
  cancelSuite(driver);
}

function steerSuite(driver: SessionStoreDriver): void {
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

function collectSuite(driver: SessionStoreDriver): void {
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

function cancelSuite(driver: SessionStoreDriver): void {
  describe("cancels of a run with subagents", () => {
    const test = new StoreUnderTest(driver);
    const cancel = (runId: string) =>
      test.store.cancelRun(
        scope,
        request<CancelOutcome>(({ kind }) => kind),
        { runId, ...wish() },
      );
    const childOf = async (parentSessionId: string) => {
      const { sessionId } = await makeSession(test.store, { parentSessionId });
      await accept(test.store, sessionId);
      return claimOne(test.store);
    };

    it(`reach active and waiting runs of child sessions in the same change ${verifies("R5")}`, async () => {
      const parent = await startRun(test.store);
      const child = await childOf(parent.session.sessionId);
      const grandchild = await childOf(child.session.sessionId);
      const stranger = await startRun(test.store);
      const waiting = await accept(test.store, child.session.sessionId);
      const outcome = outcomeOf<CancelOutcome>(await cancel(parent.run.runId));
      if (outcome.kind !== "requested") throw new Error(outcome.kind);
      expect(outcome.commanded.map(({ run }) => run.runId)).toEqual([
        parent.run.runId,
        child.run.runId,
        grandchild.run.runId,
      ]);
      expect(outcome.commanded.every(({ command }) => command.kind === "cancel")).toBe(true);
      expect(outcome.ended.map(({ sessionId, events }) => [sessionId, kindsOf(events)])).toEqual([
        [child.session.sessionId, ["runFinished"]],
      ]);
      await test.reopen();
      expect(await test.store.getRun(scope, waiting.run.runId)).toMatchObject({ state: "finished", status: 3 });
      expect(await test.store.getRun(scope, grandchild.run.runId)).toMatchObject({ cancelledBy: "user:local" });
      expect(await test.store.listCommands(grandchild.run)).toHaveLength(1);
      expect(await test.store.getRun(scope, stranger.run.runId)).toMatchObject({ cancelledBy: "" });
      expect(await test.store.getSession(scope, child.session)).toMatchObject({ queuedRuns: 0 });
    });

    it("are told once, and are closed with the end of the run", async () => {
      const { run } = await startRun(test.store);
      await cancel(run.runId);
      expect(outcomeOf<CancelOutcome>(await cancel(run.runId))).toMatchObject({ commanded: [], ended: [] });
      expect(await test.store.listCommands(run)).toHaveLength(1);
      await append(test.store, lastBatchOf(run, 1));
      expect(await test.store.listCommands(run)).toEqual([]);
    });

    it("leave subagents alone when the run had not begun", async () => {
      const { session } = await startRun(test.store);
      const child = await childOf(session.sessionId);
      const waiting = await accept(test.store, session.sessionId);
      await cancel(waiting.run.runId);
      expect(await test.store.getRun(scope, child.run.runId)).toMatchObject({ cancelledBy: "" });
    });

    it("go 8 generations deep and end in a circle of sessions", async () => {
      const parent = await startRun(test.store);
      let session = parent.session;
      const generations: RunRow[] = [];
      for (let depth = 1; depth <= 9; depth++) {
        const child = await childOf(session.sessionId);
        ({ session } = child);
        generations.push(child.run);
      }
      await cancel(parent.run.runId);
      const asked = await Promise.all(generations.map(({ runId }) => test.store.getRun(scope, runId)));
      expect(asked.map((run) => run?.cancelledBy)).toEqual([...Array<string>(8).fill("user:local"), ""]);
      const { sessionId } = await makeSession(test.store, { sessionId: "ring", parentSessionId: "ring" });
      await accept(test.store, sessionId);
      const { run } = await claimOne(test.store);
      const waiting = await accept(test.store, sessionId);
      expect(outcomeOf<CancelOutcome>(await cancel(run.runId))).toMatchObject({
        commanded: [{ run: { runId: run.runId } }],
      });
      expect(await test.store.getRun(scope, waiting.run.runId)).toMatchObject({ state: "finished" });
    });

    it(`reach what works among any number of child sessions that have ended, and below them ${verifies("R5")}`, async () => {
      const parent = await startRun(test.store);
      const { sessionId } = parent.session;
      const oldest = await childOf(sessionId);
      const done = await childOf(sessionId);
      await append(test.store, lastBatchOf(done.run, 1));
      const below = await childOf(done.session.sessionId);
      const silent = Array.from({ length: 1_050 }, () => makeSession(test.store, { parentSessionId: sessionId }));
      await Promise.all(silent);
      const newest = await childOf(sessionId);
      const { commanded } = outcomeOf<CancelOutcome & { kind: "requested" }>(await cancel(parent.run.runId));
      const reached = [parent, newest, oldest, below].map(({ run }) => run.runId);
      expect(commanded.map(({ run }) => run.runId)).toEqual(reached);
    });

    it(`reach no more than the newest 1 000 sessions that have something to stop ${verifies("L7")}`, async () => {
      const parent = await startRun(test.store);
      const parentSessionId = parent.session.sessionId;
      const children = await Promise.all(
        Array.from({ length: 1_001 }, () => makeSession(test.store, { parentSessionId })),
      );
      await Promise.all(children.map(({ sessionId }) => accept(test.store, sessionId)));
      const { ended } = outcomeOf<CancelOutcome & { kind: "requested" }>(await cancel(parent.run.runId));
      const newestFirst = children.map(({ sessionId }) => sessionId).reverse();
      expect(ended.map(({ sessionId }) => sessionId)).toEqual(newestFirst.slice(0, 1_000));
      expect(await test.store.countQueuedRuns()).toBe(1);
    });

    it(`reach them with an interrupting message, too ${verifies("R5")}`, async () => {
      const parent = await startRun(test.store);
      const child = await childOf(parent.session.sessionId);
      const interrupt = { entry: { kind: "interrupt", wish: wish() } } as const;
      const { commanded } = await accept(test.store, parent.session.sessionId, interrupt);
      expect(commanded.map(({ run }) => run.runId)).toEqual([parent.run.runId, child.run.runId]);
      expect((await append(test.store, batchOf(child.run, 1, { events: [delta(child.run.runId, "x")] }))).kind).toBe(
        "appended",
      );
    });
  });
}
