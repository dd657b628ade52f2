/**
 * The CallLedger on one SQLite file.
 *
 * Keeps L5 (an intent is durable before its dispatch), T1 (one id is dispatched once) and T2 (an id that somebody looked
 * for before it came is never dispatched). The epoch is compared before anything is read or written, so that a worker
 * that lost its run learns that first.
 */
import type { DatabaseSync } from "node:sqlite";
import type { Scope } from "../../../kernel/store/scope.ts";
import { GroupCommit } from "../../../kernel/store/sqlite/group-commit.ts";
import { openDatabase } from "../../../kernel/store/sqlite/open-database.ts";
import type { StoreOptions } from "../../../kernel/store/store-errors.ts";
import type { BeginOutcome, CallIntent, CallLedger, CallOwner } from "../call-ledger.ts";
import { type CallRow, CallRows } from "./call-rows.ts";
import { callMigrations } from "./call-schema.ts";

type ReattachOutcome = Awaited<ReturnType<CallLedger["reattach"]>>;

/** Opens `toolrouter.db` in `dataDir`; `nowMs` gives milliseconds since 1970. Throws `StoreUnavailable`. */
export function openSqliteCallLedger(dataDir: string, nowMs: () => number, options: StoreOptions = {}): CallLedger {
  return new SqliteCallLedger(openDatabase(dataDir, "toolrouter.db", callMigrations), nowMs, options);
}

class SqliteCallLedger implements CallLedger {
  private readonly rows: CallRows;
  private readonly commits: GroupCommit;

  constructor(database: DatabaseSync, nowMs: () => number, options: StoreOptions) {
    this.rows = new CallRows(database);
    this.commits = new GroupCommit(database, nowMs, () => {}, options);
  }

  begin(scope: Scope, instanceId: string, call: CallIntent): Promise<BeginOutcome> {
    return this.commits.write((nowMs) => {
      const { rows } = this;
      const newest = newestEpoch(rows, scope, call);
      if (call.epoch < newest) {
        return { kind: "stale-epoch", epoch: newest };
      }
      const found = rows.find({ ...scope, runId: call.runId }, call.callId);
      if (found !== undefined && found.state !== "tombstoned" && found.digest !== call.digest) {
        return { kind: "other-call" };
      }
      if (call.epoch > newest && call.runId !== "") {
        rows.writeEpoch(scope.tenant, call.runId, call.epoch);
      }
      if (found !== undefined) {
        return describe(found);
      }
      rows.insertOpen(scope, instanceId, call, nowMs);
      return { kind: "dispatch" };
    });
  }

  /** A call that was never begun is a mistake of the program and throws. */
  finish(owner: CallOwner, callId: string, result: Uint8Array): Promise<Uint8Array> {
    return this.commits.write((nowMs) => {
      const found = this.rows.find(owner, callId);
      switch (found?.state) {
        case "open":
          this.rows.finish(found.callNo, result, nowMs);
          return result;
        case "finished":
          return found.result;
        case "tombstoned":
        case undefined:
          throw new Error(`the call ${callId} has an outcome but was never begun`);
      }
    });
  }

  reattach(
    scope: Scope,
    callId: string,
    { runId, epoch }: { readonly runId: string; readonly epoch: number },
  ): Promise<ReattachOutcome> {
    return this.commits.write((nowMs) => {
      const { rows } = this;
      const newest = newestEpoch(rows, scope, { runId, epoch });
      if (epoch < newest) {
        return { kind: "stale-epoch", epoch: newest };
      }
      // The call of another run is none of the caller's: it learns nothing of it and gives up an id of its own.
      const found = rows.find({ ...scope, runId }, callId);
      if (epoch > newest && runId !== "") {
        rows.writeEpoch(scope.tenant, runId, epoch);
      }
      if (found !== undefined) {
        return describe(found);
      }
      rows.insertTombstone(scope, callId, runId, epoch, nowMs);
      return { kind: "tombstoned" };
    });
  }

  async sweep(beforeMs: number): Promise<number> {
    let total = 0;
    for (;;) {
      const { removed, more } = await this.commits.write(() => this.rows.sweep(beforeMs));
      total += removed;
      if (!more) {
        return total;
      }
    }
  }

  async close(): Promise<void> {
    this.commits.close();
  }
}

/** Whoever calls without a lease is told nothing of those who have one. */
function newestEpoch(
  rows: CallRows,
  { tenant }: Scope,
  { runId, epoch }: { readonly runId: string; readonly epoch: number },
): number {
  return runId === "" || epoch === 0 ? 0 : rows.readEpoch(tenant, runId);
}

function describe(row: CallRow): ReattachOutcome {
  switch (row.state) {
    case "open":
      return { kind: "open", instanceId: row.instanceId };
    case "finished":
      return { kind: "finished", result: row.result };
    case "tombstoned":
      return { kind: "tombstoned" };
  }
}
