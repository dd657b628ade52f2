/**
 * Opens a database file to look at it, and leaves no trace.
 *
 * Keeps: a file that a process has open is refused at once, never waited for; while it is being read no mesh can start on
 * it. Nothing is written into the file, and the empty files that SQLite makes beside it are removed again.
 */
import { existsSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { toStoreUnavailable } from "./sqlite-errors.ts";

/** Reads in one transaction; what `read` throws is thrown. */
export function readDatabase<T>(
  dataDir: string,
  fileName: string,
  read: (database: DatabaseSync) => T,
): { readonly kind: "read"; readonly found: T } | { readonly kind: "absent" } | { readonly kind: "in-use" } {
  const filePath = join(dataDir, fileName);
  if (!existsSync(filePath)) return { kind: "absent" };
  const made = [`${filePath}-shm`, `${filePath}-wal`].filter((path) => !existsSync(path));
  const database = new DatabaseSync(filePath, { readOnly: true, timeout: 0 });
  try {
    database.exec("PRAGMA trusted_schema = OFF; BEGIN");
    // Only now is the file's lock taken.
    database.prepare("PRAGMA user_version").get();
    database.prepare("SELECT count(*) FROM sqlite_schema").get();
    try {
      return { kind: "read", found: read(database) };
    } finally {
      // Under the lock: nobody else can have begun to use them.
      for (const path of made) removeEmpty(path);
    }
  } catch (error) {
    if (toStoreUnavailable(error)?.problem === "busy") return { kind: "in-use" };
    throw error;
  } finally {
    database.close();
  }
}

/** The index of a write-ahead log is rebuilt by whoever needs it; a log with content is never ours. */
function removeEmpty(path: string): void {
  if (path.endsWith("-wal") && existsSync(path) && statSync(path).size > 0) return;
  rmSync(path, { force: true });
}
