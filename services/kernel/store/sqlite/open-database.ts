/**
 * Opens a database file as its only owner.
 *
 * Keeps: one process owns a file. `locking_mode=EXCLUSIVE` holds SQLite's own file lock until the connection closes, and
 * the operating system drops it with the process, so kill -9 leaves nothing to clean up. Every commit is synced
 * (WAL, synchronous=FULL): S4. What an earlier process left in the write-ahead log is copied into the database and synced
 * before anything is built on it, because a process that ended over a failed fsync leaves bytes there that may be in the
 * system's memory only. SQLite's own copying after a commit moves nothing forward unless its fsync succeeded, and writes
 * every page again the next time. The folder and the files are open to their owner alone.
 */
import { accessSync, closeSync, constants, fsyncSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { toFileStoreUnavailable } from "../file-errors.ts";
import { StoreUnavailable } from "../store-errors.ts";
import { migrate } from "./migrations.ts";
import { toStoreUnavailable } from "./sqlite-errors.ts";

/** How long opening waits for a process that is just ending. */
const openBusyTimeoutMs = 250;
/** How long a statement waits for a lock afterwards. */
const busyTimeoutMs = 5_000;
const cacheKiB = 8_192;
/**
 * How many pages (of 4 KiB) the write-ahead log gathers before they are copied into the database: pages that change again
 * and again are copied once. SQLite's own 1 000 cost a submit a tenth of its time.
 */
const pagesBetweenCheckpoints = 4_000;
/** The write-ahead log is cut back to this size after it was copied into the database. */
const maxIdleLogBytes = 64 * 1024 * 1024;

/** Opens `fileName` in `dataDir`, creates both when missing, and migrates. Throws `StoreUnavailable`. */
export function openDatabase(dataDir: string, fileName: string, migrations: readonly string[]): DatabaseSync {
  const filePath = join(dataDir, fileName);
  claimFile(dataDir, filePath);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(filePath, { timeout: openBusyTimeoutMs });
    database.exec("PRAGMA locking_mode = EXCLUSIVE");
    const mode = database.prepare("PRAGMA journal_mode = WAL").get()?.journal_mode;
    if (mode !== "wal") {
      throw new StoreUnavailable("io-error", undefined, `${filePath} is on a file system without a write-ahead log`);
    }
    database.exec(`PRAGMA synchronous = FULL;
      PRAGMA cache_size = -${cacheKiB};
      PRAGMA wal_autocheckpoint = ${pagesBetweenCheckpoints};
      PRAGMA journal_size_limit = ${maxIdleLogBytes};
      PRAGMA trusted_schema = OFF`);
    migrate(database, migrations, filePath);
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    syncFolder(dataDir, filePath);
    database.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
    return database;
  } catch (error) {
    database?.close();
    throw explain(error, filePath);
  }
}

function claimFile(dataDir: string, filePath: string): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    accessSync(dataDir, constants.W_OK);
    try {
      // Never opens a file that exists: closing it again would drop the lock that this process may hold on it.
      closeSync(openSync(filePath, "wx", 0o600));
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) {
        throw error;
      }
    }
    accessSync(filePath, constants.W_OK);
  } catch (error) {
    throw toFileStoreUnavailable(error, `${filePath} must be writable; check the data folder`);
  }
}

/** Makes the names of the files durable; SQLite does not look whether that worked. */
function syncFolder(dataDir: string, filePath: string): void {
  // Windows can't open a folder, and does not need it.
  if (process.platform === "win32") return;
  try {
    const folder = openSync(dataDir, "r");
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  } catch (error) {
    throw toFileStoreUnavailable(error, `the folder of ${filePath} can't be synced; check the disk`);
  }
}

function explain(error: unknown, filePath: string): unknown {
  const unavailable = toStoreUnavailable(error);
  switch (unavailable?.problem) {
    case undefined:
      return error;
    case "busy":
      return new StoreUnavailable(
        "busy",
        error,
        `another process has ${filePath} open; stop it or choose another data folder`,
      );
    case "read-only":
      return new StoreUnavailable("read-only", error, `${filePath} must be writable; check the data folder`);
    case "corrupt":
      return new StoreUnavailable("corrupt", error, `${filePath} is not a sound database; restore a backup`);
    case "disk-full":
    case "io-error":
    case "sync-failed":
    case "closed":
    case "too-new":
      return unavailable;
  }
}
