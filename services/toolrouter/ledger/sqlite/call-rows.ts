/** Reads and writes the rows of toolrouter.db. Keeps: a row is found only through its tenant. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Scope } from "../../../kernel/store/scope.ts";
import type { CallIntent, CallOwner } from "../call-ledger.ts";

/** How many calls one sweep transaction removes, so that it never holds the event loop for long. */
const maxSweptAtOnce = 5_000;

/** A call as it is stored. */
export interface CallRow {
  readonly callNo: number;
  readonly state: "open" | "finished" | "tombstoned";
  readonly digest: string;
  readonly runId: string;
  readonly instanceId: string;
  readonly result: Uint8Array;
}

export class CallRows {
  private readonly select: StatementSync;
  private readonly insert: StatementSync;
  private readonly updateFinished: StatementSync;
  private readonly selectEpoch: StatementSync;
  private readonly upsertEpoch: StatementSync;
  private readonly deleteOldest: StatementSync;
  private readonly deleteEpoch: StatementSync;

  constructor(database: DatabaseSync) {
    this.select = database.prepare(`SELECT call_no AS callNo, state, digest, run_id AS runId,
      instance_id AS instanceId, result FROM calls WHERE tenant = ? AND call_id = ? AND run_id = ? AND principal = ?`);
    this.insert = database.prepare(`INSERT INTO calls (tenant, call_id, state, tool, digest, session_id, run_id, epoch,
      principal, instance_id, result, begun_at_ms, settled_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, x'', ?, ?)`);
    this.updateFinished = database.prepare(
      "UPDATE calls SET state = 'finished', result = ?, settled_at_ms = ? WHERE call_no = ?",
    );
    this.selectEpoch = database.prepare("SELECT epoch FROM run_epochs WHERE tenant = ? AND run_id = ?");
    this.upsertEpoch = database.prepare(`INSERT INTO run_epochs (tenant, run_id, epoch) VALUES (?, ?, ?)
      ON CONFLICT DO UPDATE SET epoch = excluded.epoch`);
    this.deleteOldest = database.prepare(`DELETE FROM calls WHERE call_no IN (
      SELECT call_no FROM calls WHERE state <> 'open' AND settled_at_ms < ? LIMIT ${maxSweptAtOnce})
      RETURNING tenant, run_id AS runId`);
    this.deleteEpoch = database.prepare(`DELETE FROM run_epochs WHERE tenant = :tenant AND run_id = :runId
      AND NOT EXISTS (SELECT 1 FROM calls WHERE tenant = :tenant AND run_id = :runId)`);
  }

  find({ tenant, runId, principal }: CallOwner, callId: string): CallRow | undefined {
    return this.select.get(tenant, callId, runId, principal) as unknown as CallRow | undefined;
  }

  insertOpen({ tenant, principal }: Scope, instanceId: string, call: CallIntent, nowMs: number): void {
    const { callId, tool, digest, sessionId, runId, epoch } = call;
    this.insert.run(tenant, callId, "open", tool, digest, sessionId, runId, epoch, principal, instanceId, nowMs, 0);
  }

  insertTombstone({ tenant, principal }: Scope, callId: string, runId: string, epoch: number, nowMs: number): void {
    this.insert.run(tenant, callId, "tombstoned", "", "", "", runId, epoch, principal, "", nowMs, nowMs);
  }

  finish(callNo: number, result: Uint8Array, nowMs: number): void {
    this.updateFinished.run(result, nowMs, callNo);
  }

  /** The newest epoch that has called a tool; 0 when none has. */
  readEpoch(tenant: string, runId: string): number {
    return Number(this.selectEpoch.get(tenant, runId)?.epoch ?? 0);
  }

  writeEpoch(tenant: string, runId: string, epoch: number): void {
    this.upsertEpoch.run(tenant, runId, epoch);
  }

  /** Removes some settled calls, and the epochs of runs that have no call left; `more` when others may be left. */
  sweep(beforeMs: number): { readonly removed: number; readonly more: boolean } {
    const removed = this.deleteOldest.all(beforeMs) as unknown as { tenant: string; runId: string }[];
    for (const { tenant, runId } of removed) {
      this.deleteEpoch.run({ tenant, runId });
    }
    return { removed: removed.length, more: removed.length === maxSweptAtOnce };
  }
}
