// The contract of SessionStore.createSession and getSession.
import { describe, expect, it } from "vitest";
import { StoreUnavailable } from "../../../services/kernel/store/store-errors.ts";
import { verifies } from "../../requirements.ts";
import {
  accept,
  makeSession,
  newSession,
  otherTenant,
  outcomeOf,
  readAnswer,
  readLog,
  request,
  type SessionStoreDriver,
  StoreUnderTest,
  scope,
  submit,
} from "./store-fixture.ts";

export function sessionCreationSuite(driver: SessionStoreDriver): void {
  describe("sessions", () => {
    const test = new StoreUnderTest(driver);

    it("keeps a session as it was created", async () => {
      const asked = newSession({ key: "k", title: "a title", labels: { team: "blue" }, parentSessionId: "parent" });
      const made = await makeSession(test.store, asked);
      expect(made).toEqual({
        ...asked,
        tenant: "local",
        state: "created",
        headSeq: 0,
        oldestSeq: 0,
        activeRunId: "",
        queuedRuns: 0,
        createdBy: "user:local",
        createdAtMs: test.nowMs,
        updatedAtMs: test.nowMs,
        lastMessageAtMs: 0,
        messageCount: 0,
        profile: new Uint8Array(),
        idleTimeoutMs: 0,
        contextFloorSeq: 0,
        logBytes: 0,
        compactedSeq: 0,
        searchedSeq: 0,
        indexSeq: made.indexSeq,
        forkedFromSessionId: "",
        forkedAtSeq: 0,
        trimmedAtMs: 0,
        resetsAtMs: [],
      });
      await test.reopen();
      expect(await test.store.getSession(scope, { sessionId: asked.sessionId })).toEqual(made);
      expect(await test.store.getSession(scope, { key: "k" })).toEqual(made);
    });

    it("finds the session that has the key instead of creating another", async () => {
      const first = await makeSession(test.store, { key: "k" });
      const again = await test.store.createSession(
        scope,
        request(({ created }) => created),
        newSession({ key: "k" }),
      );
      expect(again).toMatchObject({ kind: "done", outcome: { created: false, session: first } });
    });

    it("creates any number of sessions without a key", async () => {
      await makeSession(test.store);
      await makeSession(test.store);
      expect(await test.store.getSession(scope, { key: "" })).toBeUndefined();
    });

    it("gives two creations of one key at the same time the same session", async () => {
      const create = () =>
        test.store.createSession(
          scope,
          request(({ created }) => created),
          newSession({ key: "k" }),
        );
      const made = (await Promise.all([create(), create(), create()])).map((answered) => outcomeOf(answered));
      expect(made.map(({ created }) => created)).toEqual([true, false, false]);
      expect(new Set(made.map(({ session }) => session.sessionId)).size).toBe(1);
    });

    it(`answers a repeated creation with the first answer, also after a restart ${verifies("R1")}`, async () => {
      const asked = newSession();
      const ask = request<{ session: { sessionId: string } }>(({ session }) => session.sessionId);
      await test.store.createSession(scope, ask, asked);
      await test.reopen();
      const again = await test.store.createSession(scope, ask, newSession());
      expect(again.kind === "replayed" && readAnswer(again.answer)).toBe(asked.sessionId);
    });

    it(`refuses a request id that comes with another body ${verifies("R1")}`, async () => {
      const ask = request(() => "");
      await test.store.createSession(scope, ask, newSession());
      const again = await test.store.createSession(scope, { ...ask, digest: "another" }, newSession({ key: "k" }));
      expect(again).toEqual({ kind: "request-id-reused" });
      expect(await test.store.getSession(scope, { key: "k" })).toBeUndefined();
    });

    it("keeps the request ids of principals, methods and tenants apart", async () => {
      const ask = request(() => "", { requestId: "same" });
      const calls = [
        [scope, ask],
        [{ ...scope, principal: "user:other" }, ask],
        [scope, { ...ask, method: "test/Other" }],
        [otherTenant, ask],
      ] as const;
      for (const [by, call] of calls) {
        expect((await test.store.createSession(by, call, newSession())).kind).toBe("done");
      }
    });

    it("shows a tenant nothing of another", async () => {
      const { sessionId } = await makeSession(test.store, { key: "k" });
      const { run } = await accept(test.store, sessionId);
      const { store } = test;
      expect(await store.getSession(otherTenant, { sessionId })).toBeUndefined();
      expect(await store.getSession(otherTenant, { key: "k" })).toBeUndefined();
      expect(await store.getRun(otherTenant, run.runId)).toBeUndefined();
      expect(await submit(store, sessionId, {}, otherTenant)).toEqual({ kind: "session-not-found" });
      const range = { afterSeq: 0, maxEvents: 10, maxBytes: 1_000 };
      expect(await store.readEvents(otherTenant, sessionId, range)).toEqual({ kind: "session-not-found" });
      // The same ids may live in both.
      const twin = await makeSession(store, { sessionId, key: "k" }, otherTenant);
      expect(twin.headSeq).toBe(0);
      await accept(store, sessionId, { runId: run.runId }, otherTenant);
      expect((await readLog(store, sessionId, "other")).length).toBe(2);
    });

    it("forgets answers that are older than asked, and only those", async () => {
      const old = request(() => "old");
      await test.store.createSession(scope, old, newSession());
      const sweptBefore = test.nowMs + 1;
      test.nowMs += 10;
      const young = request(() => "young");
      await test.store.createSession(scope, young, newSession());
      expect(await test.store.sweepRequests(sweptBefore)).toBe(1);
      expect((await test.store.createSession(scope, young, newSession())).kind).toBe("replayed");
      expect((await test.store.createSession(scope, old, newSession())).kind).toBe("done");
    });

    it("refuses every call after it was closed", async () => {
      const { store } = test;
      await store.close();
      await expect(store.getSession(scope, { key: "k" })).rejects.toThrow(StoreUnavailable);
      await expect(
        store.createSession(
          scope,
          request(() => ""),
          newSession(),
        ),
      ).rejects.toThrow(StoreUnavailable);
    });

    it(`commits what was accepted before it closes ${verifies("S4")}`, async () => {
      const asked = newSession();
      const creating = test.store.createSession(
        scope,
        request(() => ""),
        asked,
      );
      await test.store.close();
      expect((await creating).kind).toBe("done");
      await test.reopen();
      expect(await test.store.getSession(scope, { sessionId: asked.sessionId })).toBeDefined();
    });
  });
}
