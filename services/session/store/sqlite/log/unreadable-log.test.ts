// A log that can't be read costs the background work on other logs nothing.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  accept,
  append,
  batchOf,
  claimOne,
  lastBatchOf,
  makeSession,
  scope,
} from "../../../../../test/contract/session-store/store-fixture.ts";
import { verifies } from "../../../../../test/requirements.ts";
import { encodeEvent } from "../../../../kernel/event/encode-event.ts";
import { openDatabase } from "../../../../kernel/store/sqlite/open-database.ts";
import { openSessionStore } from "../../open-session-store.ts";
import type { RunRow } from "../../rows.ts";
import type { SessionStore } from "../../session-store.ts";
import { sessionMigrations } from "../session-schema.ts";
import { prepareSessionTables } from "../session-tables.ts";
import type { EventRows } from "./event-rows.ts";
import { LogRetention } from "./trim-logs.ts";

const sessionIds = ["first", "damaged", "last"];
const trimAll = { keepFromMs: Date.now() + 3_600_000, maxEvents: 0, maxBytes: 0 };
const garbage = [0x3a, 1, 0xff];
/** A delta whose text ends inside a code point. */
const cutText = [0x3a, 3, 0x1a, 1, 0xe2];

let folder = "";
let store: SessionStore;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "atoll-unreadable-"));
  store = await openSessionStore(folder, Date.now);
  for (const sessionId of sessionIds) await makeSession(store, { sessionId });
});

afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A run of `count` deltas and four more events in each session; what the damaged one says begins with `body`. */
async function writeRuns({
  count,
  body,
}: {
  readonly count: number;
  readonly body?: readonly number[];
}): Promise<void> {
  for (const sessionId of sessionIds) {
    await accept(store, sessionId);
    const { run } = await claimOne(store);
    const deltas = Array.from({ length: count }, (_, index) =>
      encodeEvent({
        ...{ runId: run.runId, step: 1, attempt: 1 },
        body: { case: "textDelta", value: { blockId: "1.1.0", offset: BigInt(index * 5), text: "word " } },
      }),
    );
    if (sessionId === "damaged" && body !== undefined) {
      deltas[0] = Uint8Array.of(...encodeEvent({ runId: run.runId, step: 1, attempt: 1 }), ...body);
    }
    await append(store, batchOf(run, 1, { events: deltas, callEvents: [] }));
    await append(store, lastBatchOf(run, 2));
  }
}

/** Changes the closed file behind the store's back. */
async function damage(change: (filePath: string) => void): Promise<void> {
  await store.close();
  change(join(folder, "session.db"));
  store = await openSessionStore(folder, Date.now);
}

/** Breaks the chain of pages behind each that is full of one letter. */
function breakPages(filePath: string, letter: string): void {
  const pageBytes = 4_096;
  const bytes = readFileSync(filePath);
  const full = Buffer.alloc(pageBytes - 4, letter);
  let broken = 0;
  for (let at = 0; at < bytes.length; at += pageBytes) {
    if (!bytes.subarray(at + 4, at + pageBytes).equals(full)) continue;
    bytes.writeUInt32BE(0, at);
    broken += 1;
  }
  expect(broken).toBeGreaterThan(0);
  writeFileSync(filePath, bytes);
}

const rowsOf = () => Promise.all(sessionIds.map((sessionId) => store.getSession(scope, { sessionId })));

const trim = () => store.trimLogs({ bounds: trimAll, cursor: "", maxSessions: 9, maxRows: 99 });
const index = () => store.indexMessages({ maxEvents: 1_000, maxBytes: 1e6 });
const compact = () => store.compactLogs({ maxWindows: 9 });
const find = async (query: string) => {
  const { sessions } = await store.listSessions(scope, {
    ...{ pageSize: 9, pageToken: "", states: [], agentId: "", labels: {}, parentSessionId: "", query },
    order: "created-asc",
  });
  return sessions.map(({ sessionId }) => sessionId);
};

describe(`a log with an event that can't be decoded ${verifies("L9")}`, () => {
  it.each([
    ["a body that is cut short", garbage],
    ["a text that is cut short", cutText],
  ])("is searched and merged around it, and so are the others: %s", async (_, body) => {
    await writeRuns({ count: 300, body });
    const { damaged, more } = await index();
    expect(more).toBe(false);
    expect(damaged).toMatchObject([{ sessionId: "damaged", seq: 4 }]);
    expect(await find("word")).toEqual(sessionIds);
    expect((await index()).damaged).toEqual([]);
    // The first window has the event as it is, with 252 deltas behind it.
    expect(await compact()).toMatchObject({ windows: 3, eventsBefore: 3 * 256, eventsAfter: 4 + 5 + 4, damaged: [] });
    expect((await rowsOf()).map((row) => row?.compactedSeq)).toEqual([256, 256, 256]);
    expect(await trim()).toMatchObject({ trimmed: [{}, {}, {}], damaged: [] });
    expect((await rowsOf()).map((row) => row?.oldestSeq)).toEqual([305, 305, 305]);
  });
});

describe(`a log with a broken page ${verifies("L9")}`, () => {
  const phases = (runId: string) =>
    Array.from({ length: 300 }, () => encodeEvent({ runId, body: { case: "phaseChanged", value: {} } }));

  /** A run of each session, which says something that is larger than a page. */
  async function startRuns(): Promise<readonly RunRow[]> {
    const runs: RunRow[] = [];
    for (const sessionId of sessionIds) {
      await accept(store, sessionId);
      const { run } = await claimOne(store);
      const text = (sessionId === "damaged" ? "Q" : "P").repeat(30_000);
      const body = { case: "textDelta", value: { blockId: "1.1.0", offset: 0n, text } } as const;
      await append(store, batchOf(run, 1, { events: [encodeEvent({ runId: run.runId, body })], callEvents: [] }));
      runs.push(run);
    }
    return runs;
  }

  async function goOn(runs: readonly RunRow[]): Promise<void> {
    for (const run of runs) {
      await append(store, batchOf(run, 2, { events: phases(run.runId) }));
      await append(store, lastBatchOf(run, 3));
    }
  }

  it("is searched and merged around it, and so are the others", async () => {
    await goOn(await startRuns());
    await damage((filePath) => breakPages(filePath, "Q"));
    // SQLite takes back what shares a transaction with the first one who meets the page.
    const [compacted, accepted] = await Promise.all([compact(), accept(store, "last")]);
    expect(compacted).toMatchObject({ windows: 3, damaged: [{ sessionId: "damaged", seq: 4 }] });
    expect(accepted.seq).toBe(306);
    await damage(() => {});
    expect((await index()).damaged).toMatchObject([{ sessionId: "damaged", seq: 4 }]);
    expect((await rowsOf()).map((row) => row?.searchedSeq)).toEqual([305, 305, 307]);
    // What is before it may go.
    expect(await trim()).toMatchObject({ trimmed: [{}, {}, {}], damaged: [{ sessionId: "damaged", seq: 4 }] });
    expect((await rowsOf()).map((row) => row?.oldestSeq)).toEqual([306, 4, 306]);
    const range = { afterSeq: 3, maxEvents: 9, maxBytes: 1e6 };
    await expect(store.readEvents(scope, "damaged", range)).rejects.toMatchObject({ name: "LogDamaged", seq: 4 });
    expect(await store.readEvents(scope, "damaged", { ...range, afterSeq: 4 })).toMatchObject({ kind: "page" });
  });
});

describe("a log that can't be read", () => {
  beforeEach(async () => {
    for (let i = 0; i < 2; i++) await writeRuns({ count: 1 });
    await damage((filePath) => {
      const database = new DatabaseSync(filePath);
      database.exec("UPDATE event_rows SET crc32 = crc32 + 1 WHERE session_no = 2");
      database.close();
    });
  });

  it(`does not keep the others from being searched ${verifies("L9")}`, async () => {
    const { damaged, more } = await store.indexMessages({ maxEvents: 100, maxBytes: 1e6 });
    expect(more).toBe(false);
    expect(damaged).toMatchObject([{ sessionId: "damaged", seq: 1 }]);
    expect((await rowsOf()).map((row) => row?.searchedSeq)).toEqual([10, 10, 10]);
    // It is said once.
    expect((await store.indexMessages({ maxEvents: 100, maxBytes: 1e6 })).damaged).toEqual([]);
  });

  it.each([
    ["alone", () => []],
    ["beside a change of its group", () => [accept(store, "last")]],
  ])(`does not keep the others from being trimmed, and is named: %s ${verifies("L9")}`, async (_, neighbours) => {
    const [trimmed] = await Promise.all([trim(), ...neighbours()]);
    expect(trimmed.damaged).toMatchObject([{ sessionId: "damaged", seq: 1 }]);
    expect(trimmed.cursor).toBe("");
    expect((await rowsOf()).map((row) => row?.oldestSeq)).toEqual([11, 1, 11]);
  });
});

describe("a disk that fails", () => {
  it(`is no damage of the log that is read, and ends trimming ${verifies("S4")}`, async () => {
    await writeRuns({ count: 1 });
    await store.close();
    const database = openDatabase(folder, "session.db", sessionMigrations);
    try {
      const tables = prepareSessionTables(database);
      const failure = Object.assign(new Error("disk I/O error"), { errcode: 10 });
      const events: EventRows = Object.assign(Object.create(tables.events), {
        iterateRows(...[session, fromSeq]: Parameters<EventRows["iterateRows"]>) {
          if (session.row.sessionId === "damaged") throw failure;
          return tables.events.iterateRows(session, fromSeq);
        },
      });
      database.exec("BEGIN");
      const trim = { bounds: trimAll, cursor: "", maxSessions: 9, maxRows: 99 };
      const retention = new LogRetention(database);
      expect(() => retention.trim({ ...tables, events }, trim, Date.now())).toThrow(failure);
    } finally {
      database.close();
      store = await openSessionStore(folder, Date.now);
    }
  });
});
