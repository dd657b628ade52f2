/** A long log at the store's port, beside few or many other sessions: its size, reading it whole, opening its snapshot. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { mergeDeltas } from "../../../services/kernel/event/merge-deltas.ts";
import type { RunRow } from "../../../services/session/store/rows.ts";
import type { SessionStore } from "../../../services/session/store/session-store.ts";
import { median } from "../quantiles.ts";
import { batchEvents, batchOf, DeltaWriter, makeSessions, scope, startRuns } from "./log-load.ts";
import { withFolder, withStore } from "./with-store.ts";

export interface LogSize {
  /** All sessions of the store, the long one included. */
  readonly sessions: number;
  /** Of the long log, in which its events are stored: their rows without what SQLite needs around them. */
  readonly bytesPerEvent: number;
  /** Of session.db, free pages apart, over the events of all sessions. */
  readonly diskBytesPerEvent: number;
  readonly readEventsPerSecond: number;
  readonly snapshotMs: number;
  readonly snapshotEvents: number;
}

export interface LogSizes {
  readonly written: LogSize;
  readonly compacted: LogSize;
}

/** A log of `events` deltas in one of `sessions` sessions, as it was written and then compacted. The others have a batch. */
export async function measureLog(events: number, sessions: number): Promise<LogSizes> {
  return await withFolder(async (folder) => {
    const runs = await withStore(folder, (store) => writeLogs(store, events, sessions));
    const measure = async (): Promise<LogSize> => {
      const usedBytes = readUsedBytes(join(folder, "session.db"));
      return await withStore(folder, (store) => measureSize(store, usedBytes, runs));
    };
    const written = await measure();
    await withStore(folder, compactAll);
    return { written, compacted: await measure() };
  });
}

interface WrittenRuns {
  /** Of the long log. */
  readonly long: RunRow;
  readonly others: readonly RunRow[];
}

async function writeLogs(store: SessionStore, events: number, sessions: number): Promise<WrittenRuns> {
  const [long, ...others] = await startRuns(store, await makeSessions(store, sessions));
  if (long === undefined) throw new Error("no run was claimed");
  const begin = (run: RunRow) => store.appendBatch(batchOf(run, 1, new DeltaWriter(run.runId).batch()));
  await Promise.all(others.map(begin));
  const deltas = new DeltaWriter(long.runId);
  for (let batchNo = 1; batchNo <= events / batchEvents; batchNo++) {
    await store.appendBatch(batchOf(long, batchNo, deltas.batch()));
  }
  return { long, others };
}

async function compactAll(store: SessionStore): Promise<void> {
  for (;;) {
    const { windows } = await store.compactLogs({ maxWindows: 64 });
    if (windows === 0) return;
  }
}

async function measureSize(
  store: SessionStore,
  usedBytes: number,
  { long: { sessionId }, others }: WrittenRuns,
): Promise<LogSize> {
  const plain = [];
  const snapshots = [];
  for (let round = 0; round < 5; round++) {
    plain.push(await readLog(store, sessionId, false));
    snapshots.push(await readLog(store, sessionId, true));
  }
  const session = await store.getSession(scope, { sessionId });
  const headSeq = session?.headSeq ?? 0;
  const [other] = others;
  const otherHeadSeq = other === undefined ? 0 : ((await store.getSession(scope, other))?.headSeq ?? 0);
  return {
    sessions: others.length + 1,
    bytesPerEvent: (session?.logBytes ?? 0) / headSeq,
    diskBytesPerEvent: usedBytes / (headSeq + others.length * otherHeadSeq),
    readEventsPerSecond: (headSeq * 1_000) / median(plain.map(({ ms }) => ms)),
    snapshotMs: median(snapshots.map(({ ms }) => ms)),
    snapshotEvents: snapshots[0]?.events ?? 0,
  };
}

async function readLog(
  store: SessionStore,
  sessionId: string,
  isSnapshot: boolean,
): Promise<{ readonly ms: number; readonly events: number }> {
  const startedMs = performance.now();
  let events = 0;
  let afterSeq = 0;
  for (;;) {
    const page = await store.readEvents(scope, sessionId, { afterSeq, maxEvents: 5_000, maxBytes: 1_000_000 });
    if (page.kind !== "page") throw new Error("the session is not there");
    // As the session service makes a snapshot.
    events += (isSnapshot ? mergeDeltas(page.events) : page.events).length;
    afterSeq = page.events.at(-1)?.seq ?? afterSeq;
    if (afterSeq >= page.headSeq || page.events.length === 0) return { ms: performance.now() - startedMs, events };
  }
}

/** What the database takes without its free pages; nobody else has it open. */
function readUsedBytes(file: string): number {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const read = (pragma: string): number => Number(Object.values(database.prepare(`PRAGMA ${pragma}`).get() ?? {})[0]);
    return (read("page_count") - read("freelist_count")) * read("page_size");
  } finally {
    database.close();
  }
}
