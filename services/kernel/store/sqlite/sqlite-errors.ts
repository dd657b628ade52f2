/**
 * Turns what node:sqlite throws into the store's own error (L9: the driver's words stay in `cause`).
 *
 * Keeps: an error is known by its number, never by its text.
 */
import { type StoreProblem, StoreUnavailable } from "../store-errors.ts";

// Extended result codes: a sync of a file or of its folder failed.
const syncFailures: ReadonlySet<number> = new Set([1034, 1290]); // SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC

// Primary result codes, https://www.sqlite.org/rescode.html
const problemOfCode: ReadonlyMap<number, StoreProblem> = new Map([
  [3, "read-only"], // SQLITE_PERM
  [5, "busy"], // SQLITE_BUSY
  [6, "busy"], // SQLITE_LOCKED
  [8, "read-only"], // SQLITE_READONLY
  [10, "io-error"], // SQLITE_IOERR
  [11, "corrupt"], // SQLITE_CORRUPT
  [13, "disk-full"], // SQLITE_FULL
  [14, "io-error"], // SQLITE_CANTOPEN
  [22, "io-error"], // SQLITE_NOLFS
  [26, "corrupt"], // SQLITE_NOTADB
]);

/** The `StoreUnavailable` that an error means; undefined when it is a mistake of the program. */
export function toStoreUnavailable(error: unknown): StoreUnavailable | undefined {
  if (error instanceof StoreUnavailable) {
    return error;
  }
  if (!(error instanceof Error)) {
    return undefined;
  }
  if ("code" in error && error.code === "ERR_INVALID_STATE") {
    return new StoreUnavailable("closed", error);
  }
  if ("errcode" in error && typeof error.errcode === "number") {
    if (syncFailures.has(error.errcode)) {
      return new StoreUnavailable("sync-failed", error);
    }
    // The lower byte is the primary code, the rest refines it.
    const problem = problemOfCode.get(error.errcode & 0xff);
    return problem === undefined ? undefined : new StoreUnavailable(problem, error);
  }
  return undefined;
}

/** Whether SQLite found that what is stored is not what it wrote (SQLITE_CORRUPT). */
export function isCorrupt(error: unknown): boolean {
  return toStoreUnavailable(error)?.problem === "corrupt";
}

/** Runs a read; what the driver throws becomes `StoreUnavailable`. */
export function readGuarded<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw toStoreUnavailable(error) ?? error;
  }
}
