/** The store behind its port, in this process: what SQLite with group commit carries, and SQLite alone as the measure. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { RunRow } from "../../../services/session/store/rows.ts";
import type { SessionStore } from "../../../services/session/store/session-store.ts";
import { batchOf, DeltaWriter, makeSessions, newMessage, onceRequest, scope, startRuns } from "./log-load.ts";
import { SliceRates } from "./slice-rates.ts";
import { withFolder, withStore } from "./with-store.ts";

const inFlight = 64;

export interface PortRates {
  readonly sessions: number;
  readonly submitsPerSecond: number;
  readonly deltasPerSecond: number;
}

/** Rates over `sessions` sessions, each with a run that is written to. */
export async function measurePort(sessions: number, seconds: number): Promise<PortRates> {
  const submitsPerSecond = await inNewStore(async (store) =>
    measureSubmits(store, await makeSessions(store, sessions), seconds),
  );
  const deltasPerSecond = await inNewStore(async (store) =>
    measureDeltas(store, await startRuns(store, await makeSessions(store, sessions)), seconds),
  );
  return { sessions, submitsPerSecond, deltasPerSecond };
}

function inNewStore<Result>(use: (store: SessionStore) => Promise<Result>): Promise<Result> {
  return withFolder((folder) => withStore(folder, use));
}

/** Deduplicated submits in a second, 64 in flight. */
async function measureSubmits(store: SessionStore, ids: readonly string[], seconds: number): Promise<number> {
  return await inParallel(seconds, async (count) => {
    await store.submitMessage(scope, onceRequest(), newMessage(ids[count % ids.length] ?? ""));
    return 1;
  });
}

/** Deltas in a second: as many batches of 16 in flight as there are runs, at most 64; a run's batches one by one. */
async function measureDeltas(store: SessionStore, runs: readonly RunRow[], seconds: number): Promise<number> {
  const lanes = runs.map((run) => ({ run, batchNo: 0, deltas: new DeltaWriter(run.runId) }));
  // Encoded before the clock starts: encoding is the worker's work. A lane's batches repeat.
  const prepared = lanes.map(({ deltas }) => [deltas.batch(), deltas.batch(), deltas.batch(), deltas.batch()]);
  const free = lanes.map((_, index) => index);
  return await inParallel(
    seconds,
    async (count) => {
      const index = free.shift() ?? 0;
      const lane = lanes[index];
      const events = prepared[index]?.[count % 4];
      if (lane === undefined || events === undefined) return 0;
      lane.batchNo += 1;
      const outcome = await store.appendBatch(batchOf(lane.run, lane.batchNo, events));
      if (outcome.kind !== "appended") throw new Error(`a batch was answered ${outcome.kind}`);
      free.push(index);
      return events.length;
    },
    Math.min(inFlight, runs.length),
  );
}

async function inParallel(
  seconds: number,
  work: (count: number) => Promise<number>,
  parallel = inFlight,
): Promise<number> {
  const endMs = performance.now() + seconds * 1_000;
  const rates = new SliceRates();
  let count = 0;
  const lane = async (): Promise<void> => {
    while (performance.now() < endMs) rates.note(await work(count++));
  };
  await Promise.all(Array.from({ length: parallel }, lane));
  return rates.perSecond();
}

/** Rows of one small insert each, one fsync a row: what a store without group commit would do. */
export function measureSingleCommits(seconds: number): Promise<number> {
  return withFolder((folder) => {
    const database = new DatabaseSync(join(folder, "floor.db"));
    try {
      database.exec(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)",
      );
      const insert = database.prepare("INSERT INTO t (b) VALUES (?)");
      const row = new Uint8Array(106);
      const endMs = performance.now() + seconds * 1_000;
      const rates = new SliceRates();
      while (performance.now() < endMs) {
        insert.run(row);
        rates.note(1);
      }
      return rates.perSecond();
    } finally {
      database.close();
    }
  });
}
