import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { remove } from "../../../../../test/contract/session-store/life-fixture.ts";
import {
  accept,
  claimOne,
  lastBatchOf,
  makeSession,
} from "../../../../../test/contract/session-store/store-fixture.ts";
import { openDatabase } from "../../../../kernel/store/sqlite/open-database.ts";
import { checkSqliteLogs } from "../log/check-logs.ts";
import { sessionMigrations } from "../session-schema.ts";
import { openSqliteSessionStore } from "../sqlite-session-store.ts";

/** The migrations before the one that brought the chain. */
const before = sessionMigrations.findIndex((sql) => sql.includes("prior_run_no"));

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "atoll-chain-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function runIdsIn(folder: string): string[] {
  const database = new DatabaseSync(join(folder, "session.db"), { readOnly: true });
  const runs = database.prepare("SELECT run_id AS runId FROM runs ORDER BY run_no").all();
  database.close();
  return runs.map(({ runId }) => String(runId));
}

test("a deleted session takes its runs along, ended and waiting ones, and no other's", async () => {
  const folder = makeFolder();
  const store = openSqliteSessionStore(folder, Date.now);
  const [one, other] = [await makeSession(store), await makeSession(store)];
  const kept: string[] = [];
  for (let round = 0; round < 3; round++) {
    await accept(store, one.sessionId);
    kept.push((await accept(store, other.sessionId)).run.runId);
  }
  const { run } = await claimOne(store);
  expect(run.sessionId).toBe(one.sessionId);
  await store.appendBatch(lastBatchOf(run, 1));
  await remove(store, one.sessionId);
  await store.close();
  expect(runIdsIn(folder)).toEqual(kept);
  expect(checkSqliteLogs(folder)).toMatchObject({ findings: [] });
});

test("the runs of a file that is older than the chain are in it", async () => {
  const folder = makeFolder();
  const old = openDatabase(folder, "session.db", sessionMigrations.slice(0, before));
  old.exec(`INSERT INTO tenants (tenant_no, tenant) VALUES (1, 'local');
    INSERT INTO sessions (tenant_no, session_id, session_key, agent_id, state, title, labels, log_id, head_seq, oldest_seq,
      active_run_id, queued_runs, parent_session_id, created_by, created_at_ms, updated_at_ms, last_message_at_ms,
      message_count, index_seq)
    SELECT 1, column1, '', 'main', 'idle', '', '{}', 'log_' || column1, 0, 0, '', 0, '', 'user:ada', 1, 1, 0, 0, column2
      FROM (VALUES ('a', 1), ('b', 2), ('c', 3));
    INSERT INTO runs (tenant_no, session_no, run_id, session_id, agent_id, state, blocked, status, failure, epoch, attempt,
      batch_no, batch_first_seq, batch_last_seq, priority, message_ids, options, principal, trace_id, queued_at_ms,
      started_at_ms, finished_at_ms, queued_seq, finished_seq, cancelled_by, cancel_reason)
    SELECT 1, column1, column2, column3, 'main', 'finished', 0, 1, x'', 1, 1, 0, 0, 0, 2, '[]', x'', '', '', 1, 1, 1, 1, 1, '', ''
      FROM (VALUES (1, 'a1', 'a'), (2, 'b1', 'b'), (1, 'a2', 'a'), (1, 'a3', 'a'), (2, 'b2', 'b'))`);
  old.close();
  const store = openSqliteSessionStore(folder, Date.now);
  const late = await accept(store, "a");
  await remove(store, "b");
  await remove(store, "c");
  await store.close();
  expect(runIdsIn(folder)).toEqual(["a1", "a2", "a3", late.run.runId]);
  const again = openSqliteSessionStore(folder, Date.now);
  await remove(again, "a");
  await again.close();
  expect(runIdsIn(folder)).toEqual([]);
});
