// The contract of SessionStore.submitMessage.
import { describe, expect, it } from "vitest";
import { verifies } from "../../requirements.ts";
import {
  accept,
  claimOne,
  decodeEvents,
  followUp,
  makeSession,
  newMessage,
  outcomeOf,
  readAnswer,
  readLog,
  request,
  runFinished,
  type SessionStoreDriver,
  StoreUnderTest,
  scope,
  startRun,
  submit,
  wish,
} from "./store-fixture.ts";

export function sessionMessageSuite(driver: SessionStoreDriver): void {
  describe("messages", () => {
    const test = new StoreUnderTest(driver);

    it("commits message, events, run and answer in one change", async () => {
      const { sessionId, logId } = await makeSession(test.store);
      test.nowMs += 5;
      const message = newMessage(sessionId, { priority: 3, options: Uint8Array.of(1, 2), traceId: "trace" });
      const ask = request<{ seq: number }>(({ seq }) => seq);
      const accepted = outcomeOf(await test.store.submitMessage(scope, ask, message));

      expect(accepted.seq).toBe(1);
      expect(accepted.commanded).toEqual([]);
      expect(accepted.appended).toMatchObject({ tenant: "local", sessionId, logId, headSeq: 2 });
      const { nowMs } = test;
      expect(accepted.run).toMatchObject({
        state: "queued",
        agentId: "agent",
        priority: 3,
        queuedSeq: 2,
        queuedAtMs: nowMs,
      });
      expect(accepted.run).toMatchObject({
        messageIds: [message.messageId],
        principal: "user:local",
        traceId: "trace",
      });
      expect(accepted.session).toMatchObject({ state: "active", headSeq: 2, oldestSeq: 1, queuedRuns: 1 });
      expect(accepted.session).toMatchObject({ messageCount: 1, lastMessageAtMs: nowMs, updatedAtMs: nowMs });

      await test.reopen();
      expect(await test.store.getRun(scope, message.runId)).toEqual(accepted.run);
      expect(await test.store.getSession(scope, { sessionId })).toEqual(accepted.session);
      const log = await readLog(test.store, sessionId);
      expect(log).toEqual(accepted.appended.events);
      const [received, queued] = decodeEvents(log);
      expect(received?.body).toMatchObject({ case: "messageReceived", value: { messageId: message.messageId } });
      expect(queued?.body).toMatchObject({ case: "runQueued", value: { agentId: "agent", position: 0 } });
      expect(received?.time?.seconds).toBe(BigInt(Math.floor(nowMs / 1000)));
    });

    it(`answers a repeated message with the first answer and runs it once ${verifies("R1")}`, async () => {
      const { sessionId } = await makeSession(test.store);
      const ask = request<{ seq: number }>(({ seq }) => ({ seq }));
      const send = () => test.store.submitMessage(scope, ask, newMessage(sessionId));
      const [first, together] = await Promise.all([send(), send()]);
      await test.reopen();
      const later = await send();
      expect(first.kind).toBe("done");
      for (const again of [together, later]) {
        expect(again.kind === "replayed" && readAnswer(again.answer)).toEqual({ seq: 1 });
      }
      expect(await test.store.getSession(scope, { sessionId })).toMatchObject({ queuedRuns: 1, headSeq: 2 });
      expect(await test.store.submitMessage(scope, { ...ask, digest: "another" }, newMessage(sessionId))).toEqual({
        kind: "request-id-reused",
      });
    });

    it("tells every run how many are before it, by priority", async () => {
      const { sessionId } = await makeSession(test.store);
      const positionOf = async (priority: number) => {
        const { appended } = await accept(test.store, sessionId, { priority });
        const body = decodeEvents(appended.events)[1]?.body;
        return body?.case === "runQueued" ? body.value.position : undefined;
      };
      expect(await positionOf(2)).toBe(0);
      await claimOne(test.store);
      expect(await positionOf(2)).toBe(1);
      expect(await positionOf(2)).toBe(2);
      expect(await positionOf(4)).toBe(1);
      expect(await positionOf(1)).toBe(4);
    });

    it("uses the message's own agent when it names one", async () => {
      const { sessionId } = await makeSession(test.store);
      expect((await accept(test.store, sessionId, { agentId: "special" })).run.agentId).toBe("special");
    });

    it("refuses a message to a session that is not there", async () => {
      expect(await submit(test.store, "nowhere")).toEqual({ kind: "session-not-found" });
      expect(await submit(test.store, "nowhere", {}, { ...scope, tenant: "unknown" })).toEqual({
        kind: "session-not-found",
      });
    });

    it("refuses when the head is another than the sender saw, and changes nothing", async () => {
      const { sessionId } = await makeSession(test.store);
      await accept(test.store, sessionId);
      const before = await test.store.getSession(scope, { sessionId });
      expect(await submit(test.store, sessionId, { ifHeadSeq: 1 })).toEqual({ kind: "head-moved", headSeq: 2 });
      expect(await test.store.getSession(scope, { sessionId })).toEqual(before);
      expect((await submit(test.store, sessionId, { ifHeadSeq: 2 })).kind).toBe("done");
    });

    it("titles a session once, with the first message that brings a title", async () => {
      const { sessionId } = await makeSession(test.store, { title: "" });
      const seen: boolean[] = [];
      for (const title of ["", "Boats", "Ships"]) {
        const base = newMessage(sessionId);
        const events: typeof base.events = (context) => {
          seen.push(context.isTitled);
          return base.events(context);
        };
        await accept(test.store, sessionId, { title, events });
      }
      expect(seen).toEqual([false, true, false]);
      expect((await test.store.getSession(scope, { sessionId }))?.title).toBe("Boats");
    });

    it("refuses when the session is busy and the sender does not want to wait", async () => {
      const { sessionId } = await makeSession(test.store);
      const { run } = await accept(test.store, sessionId, { entry: { kind: "reject" } });
      const busy = { kind: "session-busy", runId: run.runId };
      expect(await submit(test.store, sessionId, { entry: { kind: "reject" } })).toEqual(busy);
      await claimOne(test.store);
      expect(await submit(test.store, sessionId, { entry: { kind: "reject" } })).toEqual(busy);
      await test.store.finishRun(
        { ...run, epoch: 1 },
        { status: 2, failure: new Uint8Array(), followUp: followUp(), event: () => runFinished(run.runId) },
      );
      expect((await submit(test.store, sessionId, { entry: { kind: "reject" } })).kind).toBe("done");
    });

    it(`refuses when as many runs wait as may ${verifies("L7")}`, async () => {
      const { sessionId } = await makeSession(test.store);
      await accept(test.store, sessionId, { maxQueuedRuns: 2 });
      await accept(test.store, sessionId, { maxQueuedRuns: 2 });
      expect(await submit(test.store, sessionId, { maxQueuedRuns: 2 })).toEqual({ kind: "queue-full", limit: 2 });
      await claimOne(test.store);
      expect((await submit(test.store, sessionId, { maxQueuedRuns: 2 })).kind).toBe("done");
    });

    it("does not remember a refusal: the same request may succeed later", async () => {
      const { sessionId } = await makeSession(test.store);
      const { run } = await accept(test.store, sessionId);
      const ask = request(() => "");
      const send = () => test.store.submitMessage(scope, ask, newMessage(sessionId, { entry: { kind: "reject" } }));
      expect((await send()).kind).toBe("session-busy");
      await claimOne(test.store);
      await test.store.finishRun(
        { ...run, epoch: 1 },
        { status: 2, failure: new Uint8Array(), followUp: followUp(), event: () => runFinished(run.runId) },
      );
      expect((await send()).kind).toBe("done");
    });

    it("asks the active run to stop in the change that accepts an interrupting message", async () => {
      const { run, session } = await startRun(test.store);
      const { commanded } = await accept(test.store, session.sessionId, { entry: { kind: "interrupt", wish: wish() } });
      expect(commanded).toMatchObject([{ run: { runId: run.runId, state: "running", cancelledBy: "user:local" } }]);
      expect(await test.store.getRun(scope, run.runId)).toEqual(commanded[0]?.run);
    });

    it("interrupts nothing when no run is active", async () => {
      const { sessionId } = await makeSession(test.store);
      expect((await accept(test.store, sessionId, { entry: { kind: "interrupt", wish: wish() } })).commanded).toEqual(
        [],
      );
    });

    it(`does not let a callback that throws cost its neighbours anything ${verifies("L4")}`, async () => {
      const { sessionId } = await makeSession(test.store);
      const fault = new Error("a callback's own fault");
      const settled = await Promise.allSettled([
        submit(test.store, sessionId),
        submit(test.store, sessionId, {
          events: () => {
            throw fault;
          },
        }),
        submit(test.store, sessionId),
      ]);
      expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
      expect(settled[1]).toMatchObject({ reason: fault });
      expect((await readLog(test.store, sessionId)).length).toBe(4);
    });
  });
}
