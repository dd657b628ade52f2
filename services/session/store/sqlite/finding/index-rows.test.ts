import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openDatabase } from "../../../../kernel/store/sqlite/open-database.ts";
import { sessionMigrations } from "../session-schema.ts";
import { openSqliteSessionStore } from "../sqlite-session-store.ts";

/** The migrations before the one that brought the feed. */
const before = sessionMigrations.findIndex((sql) => sql.includes("CREATE TABLE deleted_sessions"));

test("sessions of a file that is older than the feed are in it, each at a place of its own", async () => {
  const folder = mkdtempSync(join(tmpdir(), "atoll-index-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const old = openDatabase(folder, "session.db", sessionMigrations.slice(0, before));
  old.exec(`INSERT INTO tenants VALUES (1, 'one'), (2, 'two');
    INSERT INTO sessions (tenant_no, session_id, session_key, agent_id, state, title, labels, log_id, head_seq, oldest_seq,
      active_run_id, queued_runs, parent_session_id, created_by, created_at_ms, updated_at_ms, last_message_at_ms, message_count)
    SELECT column1, column2, '', 'main', 'idle', '', '{}', 'log_' || column2, 0, 0, '', 0, '', 'user:ada', 1, 1, 0, 0
      FROM (VALUES (1, 'a'), (2, 'b'), (1, 'c'))`);
  old.close();
  const store = openSqliteSessionStore(folder, () => 2);
  onTestFinished(() => store.close());
  const read = async (tenant: string) => {
    const { feedId, headSeq, entries } = await store.readIndex({ tenant }, { afterSeq: 0, limit: 10 });
    expect(feedId).toMatch(/^idx_[0-9a-f]{26}$/);
    expect(entries.at(-1)?.seq).toBe(headSeq);
    return { feedId, ids: entries.map((entry) => entry.kind === "session" && entry.session.sessionId) };
  };
  const [one, two] = [await read("one"), await read("two")];
  expect([one.ids, two.ids]).toEqual([["a", "c"], ["b"]]);
  expect(one.feedId).not.toBe(two.feedId);
});
