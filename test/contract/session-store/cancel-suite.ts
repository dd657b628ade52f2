// The contract of SessionStore.cancelRun: cancels that reach the runs of child sessions.
import { describe, expect, it } from "vitest";
import type { CancelOutcome } from "../../../services/session/store/changes.ts";
import type { RunRow } from "../../../services/session/store/rows.ts";
import { verifies } from "../../requirements.ts";
import {
  accept,
  append,
  batchOf,
  claimOne,
  decodeEvents,
  delta,
  lastBatchOf,
  makeSession,
  outcomeOf,
  request,
  type SessionStoreDriver,
  StoreUnderTest,
  scope,
  startRun,
  wish,
} from "./store-fixture.ts";

const kindsOf = (events: Parameters<typeof decodeEvents>[0]) => decodeEvents(events).map(({ body }) => body.case);

export function sessionCancelSuite(driver: SessionStoreDriver): void {
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
