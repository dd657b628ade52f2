import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  accept,
  append,
  batchOf,
  lastBatchOf,
  makeSession,
  startRun,
} from "../../../../../test/contract/session-store/store-fixture.ts";
import { verifies } from "../../../../../test/requirements.ts";
import type { RunRow } from "../../rows.ts";
import { openSqliteSessionStore } from "../sqlite-session-store.ts";
import { checkSqliteLogs } from "./check-logs.ts";

let folder = "";
let run: RunRow;
let other: RunRow;
const file = () => join(folder, "session.db");

/** A stopped mesh's file with two sessions: three events and one batch for each of three. */
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "atoll-check-"));
  const store = openSqliteSessionStore(folder, Date.now);
  ({ run } = await startRun(store));
  ({ run: other } = await startRun(store));
  for (const batchNo of [1, 2, 3]) await append(store, batchOf(run, batchNo));
  await store.close();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Without what the store itself writes down of how far it came (head-witness.ts). */
const filesIn = (path: string): string[] => readdirSync(path).filter((name) => !name.endsWith(".head"));

function damage(sql: string): void {
  const database = new DatabaseSync(file());
  expect(Number(database.prepare(sql).run().changes)).toBeGreaterThan(0);
  database.close();
}

const finding = (seq: number, problem: string, sessionId = run.sessionId) => ({
  kind: "checked",
  findings: [{ tenant: "local", sessionId, seq, problem: expect.stringContaining(problem) }],
});

describe(`checking stored logs ${verifies("S1", "L9")}`, () => {
  it("counts what is sound and leaves no trace", () => {
    const before = readFileSync(file());
    expect(checkSqliteLogs(folder)).toEqual({ kind: "checked", sessions: 2, events: 9, findings: [], more: 0 });
    expect(filesIn(folder)).toEqual(["session.db"]);
    expect(readFileSync(file()).equals(before)).toBe(true);
  });

  it("finds a log sound of which retention left nothing, also when it goes on", async () => {
    const store = openSqliteSessionStore(folder, Date.now);
    await makeSession(store);
    await append(store, lastBatchOf(run, 4));
    await append(store, lastBatchOf(other, 1));
    const bounds = { keepFromMs: 0, maxEvents: 0, maxBytes: 1 };
    await store.trimLogs({ bounds, cursor: "", maxSessions: 9, maxRows: 99 });
    await store.close();
    expect(checkSqliteLogs(folder)).toMatchObject({ sessions: 3, events: 0, findings: [] });

    const again = openSqliteSessionStore(folder, Date.now);
    await accept(again, run.sessionId);
    await again.close();
    expect(checkSqliteLogs(folder)).toMatchObject({ sessions: 3, events: 2, findings: [] });
  });

  it("makes no folder and no file where there is none", () => {
    expect(checkSqliteLogs(join(folder, "none"))).toEqual({ kind: "absent" });
    expect(filesIn(folder)).toEqual(["session.db"]);
  });

  it("does not wait for a store that is open, and does not disturb it", async () => {
    const store = openSqliteSessionStore(folder, Date.now);
    expect(checkSqliteLogs(folder)).toEqual({ kind: "in-use" });
    await append(store, batchOf(run, 4));
    await store.close();
    expect(checkSqliteLogs(folder)).toMatchObject({ events: 10, findings: [] });
  });

  it("reads what a killed process left in the write-ahead log, and leaves it there", () => {
    const script = `
      import { openSqliteSessionStore } from ${JSON.stringify(join(import.meta.dirname, "../sqlite-session-store.ts"))};
      const { sessionId, tenant, runId } = ${JSON.stringify({ ...run, failure: "", options: "" })};
      const store = openSqliteSessionStore(${JSON.stringify(folder)}, Date.now);
      await store.appendBatch({ tenant, sessionId, runId, epoch: 1, batchNo: 4, events: [Uint8Array.of(0x82, 2, 0)], actedCommandId: 0, callEvents: [] });
      process.kill(process.pid, "SIGKILL");`;
    const { signal } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
    expect(signal).toBe("SIGKILL");
    expect(checkSqliteLogs(folder)).toMatchObject({ events: 10, findings: [] });
    expect(filesIn(folder)).toEqual(["session.db", "session.db-wal"]);
    expect(checkSqliteLogs(folder)).toMatchObject({ events: 10, findings: [] });
  });

  it("names the event whose bytes changed in the file", () => {
    const bytes = readFileSync(file());
    const place = bytes.lastIndexOf(run.runId, bytes.lastIndexOf("1.1.0"));
    bytes.writeUInt8(bytes.readUInt8(place) ^ 1, place);
    writeFileSync(file(), bytes);
    expect(checkSqliteLogs(folder)).toMatchObject({
      kind: "checked",
      findings: [{ tenant: "local", seq: expect.any(Number), problem: expect.stringMatching(/checksum/) }],
    });
  });

  for (const [what, sql, seq, problem] of [
    ["a checksum", "UPDATE event_rows SET crc32 = 0 WHERE first_seq = 4", 4, "checksum"],
    // CRC-32 of one zero byte.
    [
      "bytes that are no events",
      "UPDATE event_rows SET events = x'00', crc32 = 3523407757 WHERE first_seq = 4",
      4,
      "no events",
    ],
    ["a missing row", "DELETE FROM event_rows WHERE first_seq = 4", 4, "event 5 stands in its place"],
    ["a missing end", "DELETE FROM event_rows WHERE first_seq = 6", 6, "missing"],
    ["a head that stands back", "UPDATE sessions SET head_seq = 5 WHERE head_seq = 6", 6, "behind it"],
    ["a wrong count of bytes", "UPDATE sessions SET log_bytes = 1 WHERE head_seq = 6", 0, "bytes"],
    ["a wrong oldest event", "UPDATE sessions SET oldest_seq = 0 WHERE head_seq = 6", 0, "oldest"],
    ["an oldest event behind the end", "UPDATE sessions SET oldest_seq = 8 WHERE head_seq = 6", 8, "event 1 stands"],
    ["merged events that are not there", "UPDATE sessions SET compacted_seq = 7 WHERE head_seq = 6", 0, "merged"],
    ["a run that nobody knows of", "UPDATE sessions SET active_run_id = '' WHERE head_seq = 6", 0, "its run"],
    ["a wrong count of waiting runs", "UPDATE sessions SET queued_runs = 2 WHERE head_seq = 6", 0, "wait"],
  ] as const) {
    it(`names ${what}`, () => {
      damage(sql);
      expect(checkSqliteLogs(folder)).toMatchObject(finding(seq, problem));
    });
  }

  it(`names a run without its terminal event ${verifies("R2")}`, () => {
    damage(`UPDATE runs SET state = 'finished', finished_seq = 6 WHERE run_id = '${run.runId}'`);
    expect(checkSqliteLogs(folder)).toMatchObject(finding(6, "has no end"));
  });

  it("names runs that their session does not lead to", () => {
    damage("UPDATE sessions SET last_run_no = 0 WHERE head_seq = 6");
    expect(checkSqliteLogs(folder)).toMatchObject({
      findings: [
        { sessionId: run.sessionId },
        { sessionId: "", problem: "1 runs stand in no session's chain of runs" },
      ],
    });
  });

  it("names every damaged session and events of none", () => {
    damage("UPDATE event_rows SET crc32 = 0 WHERE first_seq = 1");
    damage(
      `INSERT INTO event_rows (tenant_no, session_no, first_seq, last_seq, crc32, events) VALUES (1, 99, 1, 1, 0, x'')`,
    );
    expect(checkSqliteLogs(folder)).toMatchObject({
      findings: [
        { sessionId: run.sessionId, seq: 1 },
        { sessionId: other.sessionId, seq: 1 },
        { sessionId: "", problem: "1 rows of events belong to no session" },
      ],
    });
  });

  it("says what to do with a file of another version, and with what is no database", () => {
    damage("UPDATE sessions SET title = title");
    const database = new DatabaseSync(file());
    database.exec("PRAGMA user_version = 1000");
    database.close();
    expect(checkSqliteLogs(folder)).toMatchObject({
      kind: "unreadable",
      problem: expect.stringMatching(/schema 1000.*newer/),
    });
    writeFileSync(file(), "this is a text and no database at all".repeat(100));
    expect(checkSqliteLogs(folder)).toMatchObject({
      kind: "unreadable",
      problem: expect.stringMatching(/not a database/),
    });
  });

  it("survives any byte that is not what it was", () => {
    const sound = readFileSync(file());
    for (let place = 0; place < sound.length; place += 997) {
      const bytes = Buffer.from(sound);
      bytes.writeUInt8(bytes.readUInt8(place) ^ 0x55, place);
      writeFileSync(file(), bytes);
      expect(["checked", "unreadable"], `byte ${place}`).toContain(checkSqliteLogs(folder).kind);
      for (const name of readdirSync(folder)) if (name !== "session.db") rmSync(join(folder, name));
    }
  });
});
