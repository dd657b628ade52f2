import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import {
  accept,
  batchOf,
  claimOne,
  delta,
  makeSession,
} from "../../../../../test/contract/session-store/store-fixture.ts";
import { openDatabase } from "../../../../kernel/store/sqlite/open-database.ts";
import type { SessionStore } from "../../session-store.ts";
import { sessionMigrations } from "../session-schema.ts";
import { openSqliteSessionStore } from "../sqlite-session-store.ts";

/** The migrations before the one that brought the places. */
const before = sessionMigrations.findIndex((sql) => sql.includes("updated_second"));
const places = "SELECT title, updated_second AS second, to_search AS search, to_compact AS compact FROM sessions";

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "atoll-places-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function placesIn(folder: string): unknown[] {
  const database = new DatabaseSync(join(folder, "session.db"), { readOnly: true });
  const rows = database.prepare(places).all();
  database.close();
  return rows.map((row) => ({ ...row }));
}

test("the sessions of a file that is older than the places are in theirs", async () => {
  const folder = makeFolder();
  const old = openDatabase(folder, "session.db", sessionMigrations.slice(0, before));
  old.exec(`INSERT INTO tenants (tenant_no, tenant) VALUES (1, 'local');
    INSERT INTO sessions (tenant_no, session_id, session_key, agent_id, state, title, labels, log_id, head_seq, oldest_seq,
      active_run_id, queued_runs, parent_session_id, created_by, created_at_ms, updated_at_ms, last_message_at_ms,
      message_count, index_seq, searched_seq, compacted_seq)
    SELECT 1, column1, '', 'main', 'idle', column1, '{}', 'log_' || column1, column2, 1, '', 0, '', 'user:ada', 1, column3, 0,
      0, column2, column4, column5
      FROM (VALUES ('new', 0, 1, 0, 0), ('read', 255, 61999, 255, 0), ('unread', 300, 62000, 299, 256), ('long', 512, 5, 512, 256))`);
  old.close();
  const store = openSqliteSessionStore(folder, Date.now);
  await store.close();
  expect(placesIn(folder)).toEqual([
    { title: "new", second: 0, search: 0, compact: 0 },
    { title: "read", second: 61, search: 0, compact: 0 },
    { title: "unread", second: 62, search: 1, compact: 0 },
    { title: "long", second: 0, search: 0, compact: 1 },
  ]);
});

test("a session moves when its log grows, is searched through and compacted", async () => {
  const folder = makeFolder();
  let nowMs = 61_999;
  const after = async (change: (store: SessionStore) => Promise<unknown>): Promise<unknown[]> => {
    const store = openSqliteSessionStore(folder, () => nowMs);
    await change(store);
    await store.close();
    return placesIn(folder);
  };
  let sessionId = "";
  const made = after(async (store) => {
    ({ sessionId } = await makeSession(store, { title: "a" }));
  });
  expect(await made).toEqual([{ title: "a", second: 61, search: 0, compact: 0 }]);
  nowMs += 1;
  const grown = await after((store) => accept(store, sessionId));
  expect(grown).toEqual([{ title: "a", second: 62, search: 1, compact: 0 }]);
  const searched = await after((store) => store.indexMessages({ maxEvents: 1_000, maxBytes: 1_000_000 }));
  expect(searched).toEqual([{ title: "a", second: 62, search: 0, compact: 0 }]);
  const long = await after(async (store) => {
    const { run } = await claimOne(store);
    await store.appendBatch(batchOf(run, 1, { events: Array.from({ length: 300 }, () => delta(run.runId, "a")) }));
  });
  expect(long).toEqual([{ title: "a", second: 62, search: 1, compact: 1 }]);
  const compacted = await after((store) => store.compactLogs({ maxWindows: 10 }));
  expect(compacted).toEqual([{ title: "a", second: 62, search: 1, compact: 0 }]);
});
