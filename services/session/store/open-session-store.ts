/** Chooses the driver behind the SessionStore; the only place that knows it (L2). */

import type { StoreOptions } from "../../kernel/store/store-errors.ts";
import type { LogCheck } from "./log-check.ts";
import type { SessionStore } from "./session-store.ts";
import { checkSqliteLogs } from "./sqlite/log/check-logs.ts";
import { openSqliteSessionStore } from "./sqlite/sqlite-session-store.ts";

/**
 * Sessions, runs and logs. One process at a time may have them open. Creates `dataDir` when it is missing (open to its owner
 * alone), takes a clock in milliseconds since 1970 and throws `StoreUnavailable` with a remedy in its message.
 */
export async function openSessionStore(
  dataDir: string,
  nowMs: () => number,
  options: StoreOptions = {},
): Promise<SessionStore> {
  return openSqliteSessionStore(dataDir, nowMs, options);
}

/** Looks at every stored log. Makes, changes and throws nothing. */
export async function checkLogs(dataDir: string): Promise<LogCheck> {
  return checkSqliteLogs(dataDir);
}
