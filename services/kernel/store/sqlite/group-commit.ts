/**
 * Commits changes in groups: those that were asked for since the last tick share one transaction and one fsync.
 *
 * Keeps:
 * - S4: a promise resolves only after COMMIT returned, so nothing is seen that a crash could take back.
 * - A change that goes on after SQLite rolled back by itself fails its whole group: nothing is stored outside a transaction.
 * - L4: a change that throws never fails its neighbours: the group is rolled back and each change runs again alone.
 * - L7: a group and the queue have bounds; over the queue's bound a change is refused as `busy`.
 * - After a full or failing disk nothing is written until a probe commits: smaller changes could still succeed there, and
 *   the log would keep the small ones and lose the large ones.
 * - After a failed fsync nothing is written any more: the system may have dropped the pages and marked them clean, so that
 *   the next fsync would succeed over a hole. The owner is told and must end the process.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { type StoreOptions, type StoreProblem, StoreUnavailable } from "../store-errors.ts";
import { toStoreUnavailable } from "./sqlite-errors.ts";

const maxChangesPerCommit = 512;
const maxQueuedChanges = 65_536;
const probeIntervalMs = 250;
/** Large enough that a probe does not fit where only a small change would. */
const probeBytes = 65_536;

/** SQL of the table that the probe writes to; part of every schema. */
export const probeTable = "CREATE TABLE write_probe (probe_no INTEGER PRIMARY KEY, filler BLOB NOT NULL) STRICT;";

/** One atomic change; runs inside a transaction, perhaps more than once. `nowMs` is one time for the whole group. */
export type Change<T> = (nowMs: number) => T;

type Phase =
  | { readonly kind: "open" }
  | { readonly kind: "blocked"; readonly problem: StoreProblem; readonly probeAtMs: number }
  | { readonly kind: "broken" }
  | { readonly kind: "closed" };

/** Runs one change and returns the function that settles its promise, or throws. */
interface Queued {
  readonly run: (nowMs: number) => () => void;
  readonly reject: (error: unknown) => void;
}

export class GroupCommit {
  private readonly database: DatabaseSync;
  private readonly nowMs: () => number;
  private readonly onRollback: () => void;
  private readonly onBroken: (error: StoreUnavailable) => void;
  private readonly begin: StatementSync;
  private readonly commit: StatementSync;
  private phase: Phase = { kind: "open" };
  private queue: Queued[] = [];

  /** `onRollback` forgets what was remembered of rows that are gone now. */
  constructor(
    database: DatabaseSync,
    nowMs: () => number,
    onRollback: () => void,
    { onBroken = () => undefined }: StoreOptions = {},
  ) {
    this.database = database;
    this.nowMs = nowMs;
    this.onRollback = onRollback;
    this.onBroken = onBroken;
    this.begin = database.prepare("BEGIN IMMEDIATE");
    this.commit = database.prepare("COMMIT");
  }

  /** Queues a change; resolves after its commit. Throws `StoreUnavailable`, or what the change itself threw. */
  write<T>(change: Change<T>): Promise<T> {
    if (this.phase.kind === "closed") {
      return Promise.reject(new StoreUnavailable("closed"));
    }
    if (this.queue.length >= maxQueuedChanges) {
      return Promise.reject(new StoreUnavailable("busy"));
    }
    return new Promise<T>((resolve, reject) => {
      const run = (nowMs: number) => {
        const outcome = change(nowMs);
        return () => resolve(outcome);
      };
      this.queue.push({ run, reject });
      if (this.queue.length === 1) {
        setImmediate(() => this.flush());
      }
    });
  }

  /** Commits what is queued, at once. */
  drain(): void {
    while (this.queue.length > 0) {
      this.commitGroup(this.queue.splice(0, maxChangesPerCommit));
    }
  }

  /** Commits what is queued and closes the database. */
  close(): void {
    if (this.phase.kind === "closed") {
      return;
    }
    this.drain();
    this.phase = { kind: "closed" };
    this.database.close();
  }

  private flush(): void {
    const group = this.queue.splice(0, maxChangesPerCommit);
    if (this.queue.length > 0) {
      setImmediate(() => this.flush());
    }
    if (group.length > 0) {
      this.commitGroup(group);
    }
  }

  private commitGroup(group: readonly Queued[]): void {
    if (!this.mayWrite(group)) {
      return;
    }
    try {
      this.runInTransaction(group);
    } catch (error) {
      const unavailable = this.noteFailure(error);
      if (unavailable !== undefined || group.length === 1) {
        rejectAll(group, unavailable ?? error);
        return;
      }
      this.commitOneByOne(group);
    }
  }

  private commitOneByOne(group: readonly Queued[]): void {
    for (const [index, queued] of group.entries()) {
      try {
        this.runInTransaction([queued]);
      } catch (error) {
        const unavailable = this.noteFailure(error);
        if (unavailable !== undefined) {
          rejectAll(group.slice(index), unavailable);
          return;
        }
        rejectAll([queued], error);
      }
    }
  }

  private runInTransaction(group: readonly Queued[]): void {
    const nowMs = this.nowMs();
    const settle: (() => void)[] = [];
    try {
      this.begin.run();
      for (const queued of group) {
        settle.push(queued.run(nowMs));
        this.requireTransaction();
      }
      this.commit.run();
    } catch (error) {
      this.rollBack();
      throw error;
    }
    for (const resolve of settle) {
      resolve();
    }
  }

  /** After some errors SQLite rolls back by itself; where a change went on, the next ones would be committed one by one. */
  private requireTransaction(): void {
    if (this.database.isTransaction) return;
    throw new StoreUnavailable("io-error", new Error("a change went on after SQLite had rolled its transaction back"));
  }

  private rollBack(): void {
    this.onRollback();
    // SQLite rolls back by itself after some errors.
    if (this.database.isTransaction) {
      this.database.exec("ROLLBACK");
    }
  }

  /** Blocks further writes when the error says that the disk does; returns the error that all callers get then. */
  private noteFailure(error: unknown): StoreUnavailable | undefined {
    const unavailable = toStoreUnavailable(error);
    switch (unavailable?.problem) {
      case "disk-full":
      case "io-error":
      case "read-only":
        this.block(unavailable.problem);
        return unavailable;
      case "sync-failed":
        this.break(unavailable);
        return unavailable;
      default:
        return undefined;
    }
  }

  private mayWrite(group: readonly Queued[]): boolean {
    switch (this.phase.kind) {
      case "open":
        return true;
      case "closed":
        rejectAll(group, new StoreUnavailable("closed"));
        return false;
      case "broken":
        rejectAll(group, new StoreUnavailable("sync-failed"));
        return false;
      case "blocked":
        if (performance.now() >= this.phase.probeAtMs && this.probe()) {
          return true;
        }
        rejectAll(group, new StoreUnavailable(this.phase.problem));
        return false;
    }
  }

  /** Writes more than a usual change does; opens the store again when it commits. */
  private probe(): boolean {
    try {
      this.runInTransaction([{ run: () => this.writeProbe(), reject: () => {} }]);
      return true;
    } catch (error) {
      if (this.noteFailure(error) === undefined) this.block("io-error");
      return false;
    }
  }

  private writeProbe(): () => void {
    this.database.exec(`INSERT OR REPLACE INTO write_probe VALUES (1, zeroblob(${probeBytes}))`);
    return () => {
      this.phase = { kind: "open" };
    };
  }

  private break(error: StoreUnavailable): void {
    this.phase = { kind: "broken" };
    this.onBroken(error);
  }

  private block(problem: StoreProblem): void {
    this.phase = { kind: "blocked", problem, probeAtMs: performance.now() + probeIntervalMs };
  }
}

/** Rejects with the store's own error, or with what a change itself threw. */
function rejectAll(group: readonly Queued[], error: unknown): void {
  const reason = toStoreUnavailable(error) ?? error;
  for (const queued of group) {
    queued.reject(reason);
  }
}
