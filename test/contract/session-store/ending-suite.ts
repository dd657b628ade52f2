// The contract of SessionStore, continued: how a session is closed, and how it is deleted.
import { describe, expect, it } from "vitest";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import type { RunRow } from "../../../services/session/store/rows.ts";
import type { SessionStore } from "../../../services/session/store/session-store.ts";
import { verifies } from "../../requirements.ts";
import { answered, change, close, endsOf, remove, stateOf, steer } from "./life-fixture.ts";
import {
  accept,
  append,
  batchOf,
  claimOne,
  decodeEvents,
  followUp,
  lastBatchOf,
  makeSession,
  newSession,
  otherTenant,
  outcomeOf,
  readAnswer,
  readLog,
  request,
  runFinished,
  runStarted,
  type SessionStoreDriver,
  StoreUnderTest,
  scope,
  startRun,
  submit,
} from "./store-fixture.ts";

export function sessionEndingSuite(driver: SessionStoreDriver): void {
  closeSuite(driver);
  deleteSuite(driver);
}

/** A session that was answered, and the runs of a child session and of that one's child, which go on. */
async function startBelow(store: SessionStore) {
  const parentSessionId = await answered(store);
  const runs: RunRow[] = [];
  for (const above of [parentSessionId, "child"]) {
    const { sessionId } = await makeSession(store, {
      parentSessionId: above,
      sessionId: runs.length ? "leaf" : "child",
    });
    await accept(store, sessionId);
    runs.push((await claimOne(store)).run);
  }
  return { parentSessionId, runs };
}

function closeSuite(driver: SessionStoreDriver): void {
  describe("closing a session", () => {
    const test = new StoreUnderTest(driver);

    it(`gives every run one terminal event: the waiting ones at once, the active one by its worker ${verifies("R2")}`, async () => {
      const { run } = await startRun(test.store);
      const waiting = [await accept(test.store, run.sessionId), await accept(test.store, run.sessionId)];
      const ended = outcomeOf(await close(test.store, run.sessionId));
      expect(ended.session).toMatchObject({ state: "closed", queuedRuns: 0, activeRunId: run.runId });
      expect(ended.commanded).toMatchObject([{ run: { runId: run.runId }, command: { kind: "cancel" } }]);
      const kinds = ended.appended.flatMap(({ events }) => decodeEvents(events)).map(({ body }) => body.case);
      expect(kinds).toEqual(["runFinished", "runFinished", "sessionUpdated"]);
      expect(await test.store.claimRuns({ limit: 9, events: runStarted })).toEqual([]);
      // Its worker may still say its last words.
      await append(test.store, batchOf(run, 1));
      await append(test.store, lastBatchOf(run, 2));
      const ends = await endsOf(test.store, run.sessionId);
      const cancelled = waiting.map((each) => [each.run.runId, RunStatus.CANCELLED]);
      expect(ends).toEqual([...cancelled, [run.runId, RunStatus.COMPLETED]]);
      expect(await stateOf(test.store, run.sessionId)).toBe("closed");
      expect(await test.store.countQueuedRuns()).toBe(0);
    });

    it(`lets the service end the active run over its worker's head ${verifies("R2", "R5")}`, async () => {
      const { run } = await startRun(test.store);
      await close(test.store, run.sessionId);
      const { CANCELLED } = RunStatus;
      const finish = { status: CANCELLED, failure: new Uint8Array(), followUp: followUp() };
      const event = () => runFinished(run.runId, CANCELLED);
      expect(await test.store.finishRun(run, { ...finish, event })).toMatchObject({ run: { state: "finished" } });
      expect((await test.store.appendBatch(lastBatchOf(run, 1))).kind).toBe("fenced");
      expect(await endsOf(test.store, run.sessionId)).toEqual([[run.runId, CANCELLED]]);
      expect(await stateOf(test.store, run.sessionId)).toBe("closed");
    });

    it("answers nothing any more, also not what its active run was steered with and never read", async () => {
      const { run } = await startRun(test.store);
      await accept(test.store, run.sessionId, steer);
      await close(test.store, run.sessionId);
      await append(test.store, lastBatchOf(run, 1));
      expect(await test.store.getSession(scope, { sessionId: run.sessionId })).toMatchObject({
        state: "closed",
        queuedRuns: 0,
        activeRunId: "",
      });
      expect(await test.store.listCommands(run)).toEqual([]);
    });

    it("keeps everything to be read and refuses what would write", async () => {
      const sessionId = await answered(test.store);
      const before = await readLog(test.store, sessionId);
      const { session } = outcomeOf(await close(test.store, sessionId));
      await test.reopen();
      expect(await test.store.getSession(scope, { sessionId })).toEqual(session);
      expect((await readLog(test.store, sessionId)).slice(0, -1)).toEqual(before);
      for (const entry of [steer, {}, { entry: { kind: "collect" } }, { entry: { kind: "reject" } }] as const)
        expect(await submit(test.store, sessionId, entry)).toEqual({ kind: "session-closed" });
      expect(await change(test.store, sessionId)).toEqual({ kind: "session-closed" });
    });

    it(`happens once: the same request gets its answer, another one changes nothing ${verifies("R1")}`, async () => {
      const { run } = await startRun(test.store);
      const { sessionId } = run;
      expect((await close(test.store, sessionId, { requestId: "r1" })).kind).toBe("done");
      const { length } = await readLog(test.store, sessionId);
      const again = await close(test.store, sessionId, { requestId: "r1" });
      expect(again.kind === "replayed" && readAnswer(again.answer)).toBe("closed");
      expect(await close(test.store, sessionId, { requestId: "r1", digest: "x" })).toEqual({
        kind: "request-id-reused",
      });
      expect(outcomeOf(await close(test.store, sessionId))).toMatchObject({ appended: [], commanded: [] });
      expect(await readLog(test.store, sessionId)).toHaveLength(length);
      expect(await test.store.listCommands(run)).toHaveLength(1);
    });

    it("says so when there is no such session in the tenant", async () => {
      const { sessionId } = await makeSession(test.store);
      expect(await close(test.store, "nowhere")).toEqual({ kind: "session-not-found" });
      expect(await close(test.store, sessionId, {}, otherTenant)).toEqual({ kind: "session-not-found" });
      expect(await stateOf(test.store, sessionId)).toBe("created");
    });

    it(`stops what the active run does through child sessions, which stay open ${verifies("R5")}`, async () => {
      const parent = await startRun(test.store);
      const child = await makeSession(test.store, { parentSessionId: parent.session.sessionId });
      await accept(test.store, child.sessionId);
      const { run: childRun } = await claimOne(test.store);
      const waiting = await accept(test.store, child.sessionId);
      const { commanded, appended } = outcomeOf(await close(test.store, parent.session.sessionId));
      expect(commanded.map(({ run }) => run.runId)).toEqual([parent.run.runId, childRun.runId]);
      expect(appended.map(({ sessionId }) => sessionId)).toContain(child.sessionId);
      expect(await endsOf(test.store, child.sessionId)).toEqual([[waiting.run.runId, RunStatus.CANCELLED]]);
      expect(await stateOf(test.store, child.sessionId)).toBe("active");
    });

    it(`stops what works below it also when it has no active run itself ${verifies("R5")}`, async () => {
      const { parentSessionId, runs } = await startBelow(test.store);
      const { commanded, appended } = outcomeOf(await close(test.store, parentSessionId));
      expect(commanded.map(({ run }) => run.runId)).toEqual(runs.map(({ runId }) => runId));
      expect(appended.map(({ sessionId }) => sessionId)).toEqual([parentSessionId]);
      // What is started there afterwards is nobody's but theirs.
      for (const run of runs) await append(test.store, lastBatchOf(run, 1));
      await accept(test.store, runs[0]?.sessionId ?? "");
      expect(outcomeOf(await close(test.store, parentSessionId))).toMatchObject({ commanded: [], appended: [] });
      expect(await test.store.countQueuedRuns()).toBe(1);
    });
  });
}

function deleteSuite(driver: SessionStoreDriver): void {
  describe("deleting a session", () => {
    const test = new StoreUnderTest(driver);

    it("leaves nothing of it, also not for whoever still works on it", async () => {
      const { run } = await startRun(test.store);
      const { sessionId, runId } = run;
      const waiting = await accept(test.store, sessionId);
      await accept(test.store, sessionId, steer);
      const { commanded } = outcomeOf(await remove(test.store, sessionId));
      expect(commanded).toMatchObject([{ run: { runId }, command: { kind: "cancel" } }]);
      await test.reopen();
      const { store } = test;
      expect(await store.getSession(scope, { sessionId })).toBeUndefined();
      const all = { afterSeq: 0, maxEvents: 9, maxBytes: 999 };
      expect(await store.readEvents(scope, sessionId, all)).toEqual({ kind: "session-not-found" });
      for (const gone of [runId, waiting.run.runId]) expect(await store.getRun(scope, gone)).toBeUndefined();
      expect(await store.listCommands(run)).toEqual([]);
      expect(await store.listRunningRuns()).toEqual([]);
      expect(await store.countQueuedRuns()).toBe(0);
      expect(await store.claimRuns({ limit: 9, events: runStarted })).toEqual([]);
      expect(await store.appendBatch(lastBatchOf(run, 1))).toEqual({ kind: "run-not-found" });
      expect(await store.takeOverRun(run, runStarted)).toBeUndefined();
      const finish = { status: RunStatus.CANCELLED, failure: new Uint8Array(), followUp: followUp() };
      expect(await store.finishRun(run, { ...finish, event: () => runFinished(runId) })).toBeUndefined();
      expect(await submit(store, sessionId)).toEqual({ kind: "session-not-found" });
      expect(await change(store, sessionId)).toEqual({ kind: "session-not-found" });
    });

    it("frees its key for a session that has nothing of it", async () => {
      const old = await makeSession(test.store, { key: "k" });
      await accept(test.store, old.sessionId);
      const { run } = await claimOne(test.store);
      await accept(test.store, old.sessionId, steer);
      await remove(test.store, old.sessionId);
      const fresh = await makeSession(test.store, { key: "k" });
      expect(fresh.sessionId).not.toBe(old.sessionId);
      expect(await readLog(test.store, fresh.sessionId)).toEqual([]);
      // The first of its runs may have the place of the run that is gone, but none of its commands.
      await accept(test.store, fresh.sessionId);
      const claimed = await claimOne(test.store);
      expect(await test.store.listCommands(claimed.run)).toEqual([]);
      const steered = await accept(test.store, fresh.sessionId, steer);
      expect(steered.commanded).toMatchObject([{ command: { commandId: 1, kind: "steer" } }]);
      expect(await test.store.listCommands(claimed.run)).toHaveLength(1);
      expect(await test.store.appendBatch(batchOf(run, 1))).toEqual({ kind: "run-not-found" });
      expect(await test.store.appendBatch({ ...batchOf(run, 1), runId: claimed.run.runId })).toEqual({
        kind: "run-not-found",
      });
    });

    it("touches no other session", async () => {
      const [{ run }, kept] = [await startRun(test.store), await answered(test.store)];
      const before = await readLog(test.store, kept);
      await remove(test.store, run.sessionId);
      expect(await readLog(test.store, kept)).toEqual(before);
      expect((await accept(test.store, kept)).seq).toBe(before.length + 1);
    });

    it(`happens once: the same request gets its answer, and then there is nothing ${verifies("R1")}`, async () => {
      const { sessionId } = await makeSession(test.store);
      const [first, again] = await Promise.all([1, 2].map(() => remove(test.store, sessionId, { requestId: "r1" })));
      expect([first?.kind, again?.kind]).toEqual(["done", "replayed"]);
      expect(await remove(test.store, sessionId, { requestId: "r1", digest: "x" })).toEqual({
        kind: "request-id-reused",
      });
      expect(await remove(test.store, sessionId)).toEqual({ kind: "session-not-found" });
    });

    it(`keeps the answers that were given for it ${verifies("R1")}`, async () => {
      const asked = newSession({ key: "k" });
      const create = () =>
        test.store.createSession(
          scope,
          request(({ session }) => session.sessionId, { requestId: "r1" }),
          asked,
        );
      await create();
      await remove(test.store, asked.sessionId);
      expect((await create()).kind).toBe("replayed");
      expect(await test.store.getSession(scope, { key: "k" })).toBeUndefined();
    });

    it("is not there for another tenant", async () => {
      const { sessionId } = await makeSession(test.store);
      expect(await remove(test.store, sessionId, {}, otherTenant)).toEqual({ kind: "session-not-found" });
      expect(await stateOf(test.store, sessionId)).toBe("created");
    });

    it(`stops the runs of its child sessions, which stay ${verifies("R5")}`, async () => {
      const parent = await startRun(test.store);
      const child = await makeSession(test.store, { parentSessionId: parent.session.sessionId });
      await accept(test.store, child.sessionId);
      const { run: childRun } = await claimOne(test.store);
      const waiting = await accept(test.store, child.sessionId);
      const { commanded, appended } = outcomeOf(await remove(test.store, parent.session.sessionId));
      expect(commanded.map(({ run }) => run.runId)).toEqual([parent.run.runId, childRun.runId]);
      expect(appended).toMatchObject([{ sessionId: child.sessionId }]);
      expect(await endsOf(test.store, child.sessionId)).toEqual([[waiting.run.runId, RunStatus.CANCELLED]]);
      await append(test.store, lastBatchOf(childRun, 1));
      expect(await stateOf(test.store, child.sessionId)).toBe("active");
    });

    it(`stops what works below it also when it has no active run itself ${verifies("R5")}`, async () => {
      const { parentSessionId, runs } = await startBelow(test.store);
      const waiting = await accept(test.store, runs[0]?.sessionId ?? "");
      await close(test.store, runs[1]?.sessionId ?? "");
      const { commanded, appended } = outcomeOf(await remove(test.store, parentSessionId));
      expect(commanded.map(({ run }) => run.runId)).toEqual([runs[0]?.runId]);
      expect(appended.map(({ sessionId }) => sessionId)).toEqual([waiting.run.sessionId]);
      for (const { runId } of runs)
        expect(await test.store.getRun(scope, runId)).toMatchObject({ cancelledBy: "user:local" });
    });
  });
}
