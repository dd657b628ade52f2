/**
 * Reads and writes rows of `run_commands`: what holders of runs must do and have not done yet.
 *
 * Keeps R5: a command is stored in the transaction of its request, and its row is there until it is closed. Numbers come
 * from the run's own counter, so that none is used twice, also when its row is gone.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { OpenCommand } from "../../../rules/run-commands.ts";
import type { RunCommandRow } from "../../rows.ts";
import type { StoredSession } from "../life/session-columns.ts";
import { runNosOfSession, type StoredRun } from "./run-columns.ts";

/** A command with what the end of its run needs to know of it. */
export interface StoredCommand extends RunCommandRow, OpenCommand {
  /** Of a steer: who sent the message, and its trace; empty for a cancel. */
  readonly principal: string;
  readonly traceId: string;
}

export class RunCommandRows {
  private readonly insertRow: StatementSync;
  private readonly selectOf: StatementSync;
  private readonly countOf: StatementSync;
  private readonly deleteThrough: StatementSync;
  private readonly deleteSteer: StatementSync;
  private readonly deleteOfSession: StatementSync;

  constructor(database: DatabaseSync) {
    this.insertRow = database.prepare(`INSERT INTO run_commands
      (tenant_no, run_no, command_id, kind, message_id, priority, principal, trace_id, payload, created_at_ms)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.selectOf =
      database.prepare(`SELECT command_id AS commandId, kind, message_id AS messageId, priority, principal,
      trace_id AS traceId, payload, created_at_ms AS createdAtMs FROM run_commands
      WHERE tenant_no = ? AND run_no = ? ORDER BY command_id`);
    this.countOf = database.prepare("SELECT count(*) AS count FROM run_commands WHERE tenant_no = ? AND run_no = ?");
    this.deleteThrough = database.prepare(
      "DELETE FROM run_commands WHERE tenant_no = ? AND run_no = ? AND command_id <= ?",
    );
    this.deleteSteer = database.prepare(
      "DELETE FROM run_commands WHERE tenant_no = ? AND run_no = ? AND kind = 'steer' AND message_id = ?",
    );
    this.deleteOfSession = database.prepare(`DELETE FROM run_commands
      WHERE tenant_no = ? AND run_no IN (${runNosOfSession})`);
  }

  insert({ tenantNo, runNo }: StoredRun, command: StoredCommand): void {
    this.insertRow.run(
      tenantNo,
      runNo,
      command.commandId,
      command.kind,
      command.messageId,
      command.priority,
      command.principal,
      command.traceId,
      command.payload,
      command.createdAtMs,
    );
  }

  /** In order; the run's counters say without a look into the table that there are none. */
  listOpen(run: StoredRun): StoredCommand[] {
    if (run.lastCommandId === run.actedCommandId) return [];
    return this.selectOf.all(run.tenantNo, run.runNo) as unknown as StoredCommand[];
  }

  countOpen(run: StoredRun): number {
    if (run.lastCommandId === run.actedCommandId) return 0;
    return Number(this.countOf.get(run.tenantNo, run.runNo)?.count);
  }

  /** Of every run of a session; the runs are still there. */
  removeAllOf({ tenantNo, sessionNo }: StoredSession): void {
    this.deleteOfSession.run(tenantNo, sessionNo);
  }

  removeThrough({ tenantNo, runNo }: StoredRun, commandId: number): void {
    this.deleteThrough.run(tenantNo, runNo, commandId);
  }

  /** The steers that brought these messages. */
  removeSteers(run: StoredRun, messageIds: readonly string[]): void {
    if (run.lastCommandId === run.actedCommandId) return;
    for (const messageId of messageIds) this.deleteSteer.run(run.tenantNo, run.runNo, messageId);
  }
}
