/**
 * Brings a database file to the program's schema.
 *
 * Keeps: migrations are numbered from 1 by their place in the list and never change once released; all that are missing
 * run in one transaction with `PRAGMA user_version`; a file of a newer program is refused, never touched.
 */
import type { DatabaseSync } from "node:sqlite";
import { StoreUnavailable } from "../store-errors.ts";

/** Each entry is the SQL of one migration. */
export function migrate(database: DatabaseSync, migrations: readonly string[], filePath: string): void {
  const version = readVersion(database);
  if (version > migrations.length) {
    throw new StoreUnavailable(
      "too-new",
      undefined,
      `${filePath} has schema ${version}, this program knows up to ${migrations.length}; start a newer version of the program or choose another data folder`,
    );
  }
  // Also when nothing is missing: the transaction shows that the file can be written and takes the exclusive lock.
  database.exec("BEGIN IMMEDIATE");
  try {
    for (const sql of migrations.slice(version)) {
      database.exec(sql);
    }
    database.exec(`PRAGMA user_version = ${migrations.length}`);
    database.exec("COMMIT");
  } catch (error) {
    if (database.isTransaction) {
      database.exec("ROLLBACK");
    }
    throw error;
  }
}

function readVersion(database: DatabaseSync): number {
  const row = database.prepare("PRAGMA user_version").get();
  return Number(row?.user_version ?? 0);
}
