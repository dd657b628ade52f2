/** Chooses the driver behind the CallLedger; the only place that knows it (L2). */

import type { StoreOptions } from "../../kernel/store/store-errors.ts";
import type { CallLedger } from "./call-ledger.ts";
import { openSqliteCallLedger } from "./sqlite/sqlite-call-ledger.ts";

/**
 * The tool router's ledger. One process at a time may have it open. Creates `dataDir` when it is missing (open to its owner
 * alone), takes a clock in milliseconds since 1970 and throws `StoreUnavailable` with a remedy in its message.
 */
export async function openCallLedger(
  dataDir: string,
  nowMs: () => number,
  options: StoreOptions = {},
): Promise<CallLedger> {
  return openSqliteCallLedger(dataDir, nowMs, options);
}
