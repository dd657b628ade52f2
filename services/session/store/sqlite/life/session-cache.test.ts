import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { remove } from "../../../../../test/contract/session-store/life-fixture.ts";
import {
  accept,
  makeSession,
  newMessage,
  otherTenant,
  readLog,
  request,
  scope,
} from "../../../../../test/contract/session-store/store-fixture.ts";
import { verifies } from "../../../../../test/requirements.ts";
import type { Submitted } from "../../changes.ts";
import type { SessionStore } from "../../session-store.ts";
import { openSqliteSessionStore } from "../sqlite-session-store.ts";

function openStore(): SessionStore {
  const folder = mkdtempSync(join(tmpdir(), "atoll-cache-"));
  const store = openSqliteSessionStore(folder, Date.now);
  onTestFinished(async () => {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return store;
}

/** A session that changed often enough to be remembered. */
async function makeUsed(store: SessionStore): Promise<string> {
  const { sessionId } = await makeSession(store);
  for (let round = 0; round < 3; round++) await accept(store, sessionId);
  return sessionId;
}

describe("a session that is remembered", () => {
  it(`is read again after a change that was rolled back, also one that shared its group ${verifies("S1", "S4")}`, async () => {
    const store = openStore();
    const sessionId = await makeUsed(store);
    const before = await store.getSession(scope, { sessionId });
    const failing = store.submitMessage(
      scope,
      {
        ...request(({ seq }: Submitted) => seq),
        // Called when everything of the change is written.
        answer: () => {
          throw new Error("no answer");
        },
      },
      newMessage(sessionId),
    );
    const [failed, accepted] = await Promise.allSettled([failing, accept(store, sessionId)]);
    expect(failed).toMatchObject({ status: "rejected", reason: { message: "no answer" } });
    expect(accepted).toMatchObject({ status: "fulfilled", value: { seq: (before?.headSeq ?? 0) + 1 } });
    const log = await readLog(store, sessionId);
    expect(log.map(({ seq }) => seq)).toEqual(log.map((_, index) => index + 1));
    expect(await store.getSession(scope, { sessionId })).toMatchObject({ headSeq: log.length, queuedRuns: 4 });
  });

  it("is forgotten with its deletion", async () => {
    const store = openStore();
    const sessionId = await makeUsed(store);
    await remove(store, sessionId);
    expect(await store.getSession(scope, { sessionId })).toBeUndefined();
  });

  it("is not found by another tenant, who may have one of the same id", async () => {
    const store = openStore();
    const sessionId = await makeUsed(store);
    expect(await store.getSession(otherTenant, { sessionId })).toBeUndefined();
    await makeSession(store, { sessionId, title: "theirs" }, otherTenant);
    for (let round = 0; round < 3; round++) await accept(store, sessionId, {}, otherTenant);
    expect(await store.getSession(scope, { sessionId })).toMatchObject({ title: "", messageCount: 3 });
    await accept(store, sessionId);
    expect(await store.getSession(otherTenant, { sessionId })).toMatchObject({ title: "theirs", messageCount: 3 });
    expect(await store.getSession(scope, { sessionId })).toMatchObject({ title: "", messageCount: 4 });
  });
});
