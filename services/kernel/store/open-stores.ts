/**
 * Chooses the drivers behind the store ports; the only place that knows them (L2).
 *
 * Every function creates `dataDir` when it is missing (open to its owner alone), takes a clock in milliseconds since 1970
 * and throws `StoreUnavailable` with a remedy in its message.
 */
import type { BlobStore } from "./blob-store.ts";
import type { CallLedger } from "./call-ledger.ts";
import { openDiskBlobStore } from "./disk/disk-blob-store.ts";
import type { LogCheck } from "./log-check.ts";
import type { SessionStore } from "./session-store.ts";
import { checkSqliteLogs } from "./sqlite/check-logs.ts";
import { openSqliteCallLedger } from "./sqlite/sqlite-call-ledger.ts";
import { openSqliteSessionStore } from "./sqlite/sqlite-session-store.ts";
import type { StoreOptions } from "./store-errors.ts";

/** Sessions, runs and logs. One process at a time may have them open. */
export async function openSessionStore(
  dataDir: string,
  nowMs: () => number,
  options: StoreOptions = {},
): Promise<SessionStore> {
  return openSqliteSessionStore(dataDir, nowMs, options);
}

/** Looks at every stored log. The one function here that makes, changes and throws nothing. */
export async function checkLogs(dataDir: string): Promise<LogCheck> {
  return checkSqliteLogs(dataDir);
}

/** The tool router's ledger. One process at a time may have it open. */
export async function openCallLedger(
  dataDir: string,
  nowMs: () => number,
  options: StoreOptions = {},
): Promise<CallLedger> {
  return openSqliteCallLedger(dataDir, nowMs, options);
}

/** Content over a bound. Several processes may have it open. */
export async function openBlobStore(dataDir: string, nowMs: () => number): Promise<BlobStore> {
  return openDiskBlobStore(dataDir, nowMs);
}
