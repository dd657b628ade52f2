// A log that can't be read costs the background work on other logs nothing.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { accept, append, claimOne, lastBatchOf, makeSession } from "../../../../test/contract/session-store-fixture.ts";
import { verifies } from "../../../../test/requirements.ts";
import { openSessionStore } from "../open-stores.ts";
import type { SessionStore } from "../session-store.ts";

const sessionIds = ["first", "damaged", "last"];
const scope = { tenant: "local", principal: "user:local" };

let folder = "";
let store: SessionStore;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "atoll-unreadable-"));
  store = await openSessionStore(folder, Date.now);
  for (const sessionId of sessionIds) {
    await makeSession(store, { sessionId });
    for (let i = 0; i < 2; i++) {
      await accept(store, sessionId);
      const { run } = await claimOne(store);
      await append(store, lastBatchOf(run, 1));
    }
  }
  await store.close();
  const database = new DatabaseSync(join(folder, "session.db"));
  database.exec("UPDATE event_rows SET crc32 = crc32 + 1 WHERE session_no = 2");
  database.close();
  store = await openSessionStore(folder, Date.now);
});

afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

const rowsOf = () => Promise.all(sessionIds.map((sessionId) => store.getSession(scope, { sessionId })));

describe("a log that can't be read", () => {
  it(`does not keep the others from being searched ${verifies("L9")}`, async () => {
    const { damaged, more } = await store.indexMessages({ maxEvents: 100, maxBytes: 1e6 });
    expect(more).toBe(false);
    expect(damaged).toMatchObject([{ sessionId: "damaged", seq: 1 }]);
    expect((await rowsOf()).map((row) => row?.searchedSeq)).toEqual([8, 8, 8]);
    // It is said once.
    expect((await store.indexMessages({ maxEvents: 100, maxBytes: 1e6 })).damaged).toEqual([]);
  });

  it(`does not keep the others from being trimmed ${verifies("L9")}`, async () => {
    const bounds = { keepFromMs: Date.now() + 1_000, maxEvents: 0, maxBytes: 0 };
    let cursor = "";
    let failures = 0;
    do {
      try {
        ({ cursor } = await store.trimLogs({ bounds, cursor, maxSessions: 9, maxRows: 99 }));
      } catch {
        failures += 1;
      }
    } while (cursor !== "");
    expect(failures).toBe(1);
    expect((await rowsOf()).map((row) => row?.oldestSeq)).toEqual([9, 1, 9]);
  });
});
