import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  append,
  batchOf,
  delta,
  readLog,
  scope,
  startRun,
} from "../../../../test/contract/session-store/store-fixture.ts";
import { verifies } from "../../../../test/requirements.ts";
import { encodeEvent } from "../../../kernel/event/encode-event.ts";
import type { RunRow } from "../rows.ts";
import type { SessionStore } from "../session-store.ts";
import { openSqliteSessionStore } from "./sqlite-session-store.ts";

let folder = "";
let store: SessionStore;
let run: RunRow;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "atoll-damage-"));
  store = openSqliteSessionStore(folder, Date.now);
  ({ run } = await startRun(store));
  await append(store, batchOf(run, 1));
  await append(store, batchOf(run, 2));
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Changes the closed file behind the store's back. */
async function damage(sql: string): Promise<void> {
  await store.close();
  const database = new DatabaseSync(join(folder, "session.db"));
  expect(Number(database.prepare(sql).run().changes)).toBeGreaterThan(0);
  database.close();
  store = openSqliteSessionStore(folder, Date.now);
}

const readAll = () => store.readEvents(scope, run.sessionId, { afterSeq: 0, maxEvents: 100, maxBytes: 1e6 });
/** What names the session and the first event that can't be read. */
const damagedAt = (seq: number) => ({ name: "LogDamaged", sessionId: run.sessionId, seq });

describe(`a damaged session.db ${verifies("L9")}`, () => {
  it("is noticed when the bytes of an event changed", async () => {
    await damage("UPDATE event_rows SET events = CAST(events || x'00' AS BLOB) WHERE first_seq = 4");
    await expect(readAll()).rejects.toMatchObject(damagedAt(4));
  });

  it("is noticed when the bytes are no events, though their checksum fits", async () => {
    // CRC-32 of one zero byte.
    await damage("UPDATE event_rows SET events = x'00', crc32 = 3523407757 WHERE first_seq = 4");
    await expect(readAll()).rejects.toMatchObject(damagedAt(4));
  });

  it("is noticed when a row in the middle is missing", async () => {
    await damage("DELETE FROM event_rows WHERE first_seq = 4");
    await expect(readAll()).rejects.toMatchObject(damagedAt(4));
  });

  it("is noticed when the first or the last row is missing", async () => {
    await damage("DELETE FROM event_rows WHERE first_seq = 5");
    await expect(readAll()).rejects.toMatchObject(damagedAt(5));
    await damage("DELETE FROM event_rows WHERE first_seq = 1");
    await expect(readAll()).rejects.toMatchObject(damagedAt(1));
  });

  it("is noticed when a row stands at the place of another", async () => {
    await damage("UPDATE event_rows SET first_seq = 40, last_seq = 40 WHERE first_seq = 5");
    await damage("UPDATE event_rows SET first_seq = 5, last_seq = 5 WHERE first_seq = 4");
    await expect(readAll()).rejects.toMatchObject(damagedAt(5));
  });

  it("still serves other sessions, and the sound events of this one", async () => {
    const other = await startRun(store);
    await damage(`UPDATE event_rows SET crc32 = 0 WHERE first_seq = 4`);
    expect((await readLog(store, other.session.sessionId)).length).toBe(3);
    const sound = { afterSeq: 0, throughSeq: 3, maxEvents: 100, maxBytes: 1e6 };
    expect(await store.readEvents(scope, run.sessionId, sound)).toMatchObject({ events: [{}, {}, {}] });
  });

  it(`is not merged up to the end of the row that reaches out of a damaged window ${verifies("S3")}`, async () => {
    // Rows of 100 events: 6..105, 106..205, 206..305 and so on.
    for (let batchNo = 3; batchNo <= 12; batchNo++) {
      await append(store, batchOf(run, batchNo, { events: Array.from({ length: 100 }, () => delta(run.runId, "x")) }));
    }
    await damage("UPDATE event_rows SET crc32 = 0 WHERE first_seq = 106");
    const done = await store.compactLogs({ maxWindows: 8 });
    // 306..512 and 513..768; from 769 on there is no whole window.
    expect(done).toMatchObject({ windows: 3, eventsBefore: 207 + 256, damaged: [damagedAt(106)] });
    expect(await store.getSession(scope, { sessionId: run.sessionId })).toMatchObject({ compactedSeq: 768 });
    const range = { maxEvents: 1_000, maxBytes: 1e6 };
    const sound = await store.readEvents(scope, run.sessionId, { ...range, afterSeq: 205 });
    expect(sound).toMatchObject({ events: Array.from({ length: 800 }, (_, index) => ({ firstSeq: 206 + index })) });
    const damaged = store.readEvents(scope, run.sessionId, { ...range, afterSeq: 105 });
    await expect(damaged).rejects.toMatchObject(damagedAt(106));
  });

  it(`is not merged where it is damaged, and is merged behind that ${verifies("S3")}`, async () => {
    for (let batchNo = 3; batchNo <= 700; batchNo++) await append(store, batchOf(run, batchNo));
    await damage("UPDATE event_rows SET crc32 = 0 WHERE first_seq = 4");
    const first = await store.compactLogs({ maxWindows: 1 });
    expect(first).toMatchObject({ windows: 1, eventsBefore: 0, damaged: [damagedAt(4)] });
    const second = await store.compactLogs({ maxWindows: 8 });
    expect(second).toMatchObject({ windows: 1, eventsBefore: 256, damaged: [] });
    await expect(readAll()).rejects.toMatchObject(damagedAt(4));
  });
});

describe(`what compaction writes ${verifies("L7", "S1")}`, () => {
  it("is cut into rows that are read in a moment, one event at least", async () => {
    const message = (kib: number) =>
      encodeEvent({ runId: run.runId, body: { case: "toolProgress", value: { message: "x".repeat(kib * 1_024) } } });
    const sizes = [300, 300, 300, 300, 300, 1_500, 10, 300, 900];
    for (const [index, kib] of sizes.entries()) {
      await append(store, batchOf(run, index + 3, { events: [message(kib)] }));
    }
    const deltas = Array.from({ length: 300 }, () => delta(run.runId, "x"));
    await append(store, batchOf(run, sizes.length + 3, { events: deltas }));
    const before = await readLog(store, run.sessionId);
    expect(await store.compactLogs({ maxWindows: 1 })).toMatchObject({ windows: 1, damaged: [] });
    expect(await readLog(store, run.sessionId)).toEqual(before);
    await store.close();
    const database = new DatabaseSync(join(folder, "session.db"));
    const rows = database.prepare("SELECT first_seq, last_seq FROM event_rows ORDER BY first_seq").all();
    database.close();
    store = openSqliteSessionStore(folder, Date.now);
    // The window's own rows, then what stands over its border.
    expect(rows.map(({ first_seq, last_seq }) => [first_seq, last_seq])).toEqual([
      [1, 8],
      [9, 10],
      [11, 11],
      [12, 13],
      [14, 256],
      [257, 314],
    ]);
  });
});

describe(`a copy of the files taken after an append was acknowledged ${verifies("S4")}`, () => {
  it("has the append", async () => {
    const copy = mkdtempSync(join(tmpdir(), "atoll-copy-"));
    await append(store, batchOf(run, 3));
    cpSync(folder, copy, { recursive: true });
    const copied = openSqliteSessionStore(copy, Date.now);
    expect((await readLog(copied, run.sessionId)).length).toBe(6);
    await copied.close();
    rmSync(copy, { recursive: true });
  });
});
