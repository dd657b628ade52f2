/**
 * Reads and writes rows of `runs`.
 *
 * Keeps R3: `blocked` is 1 for every waiting run of a session that has a running one, so that a claim finds the next run
 * of all sessions with one look into an index.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { orderClause } from "../../../rules/order-runs.ts";
import type { RunRow } from "../../rows.ts";
import type { StoredSession } from "../life/session-columns.ts";
import { runNosOfSession, type StoredRun, selectRuns, toStoredRun } from "./run-columns.ts";

const inOrder = `ORDER BY ${orderClause("r.priority", "r.run_no")}`;
const ready = "r.state = 'queued' AND r.blocked = 0";

/** A run that nobody took yet. */
export function waitingRun(
  made: Pick<
    RunRow,
    | "tenant"
    | "sessionId"
    | "runId"
    | "agentId"
    | "priority"
    | "messageIds"
    | "collects"
    | "options"
    | "principal"
    | "traceId"
    | "queuedAtMs"
    | "queuedSeq"
  >,
): RunRow {
  return {
    ...made,
    state: "queued",
    status: 0,
    failure: new Uint8Array(),
    epoch: 0,
    attempt: 0,
    batchNo: 0,
    startedAtMs: 0,
    finishedAtMs: 0,
    finishedSeq: 0,
    cancelledBy: "",
    cancelReason: "",
  };
}

/** Which waiting runs a claim may find. */
export interface ReachedRuns {
  /** 0 for every tenant. */
  readonly tenantNo: number;
  /** Null for every agent. */
  readonly agentIds: readonly string[] | null;
  readonly exceptAgentIds: readonly string[];
}

export class RunRows {
  private readonly selectById: StatementSync;
  private readonly selectWaiting: StatementSync;
  private readonly selectCollecting: StatementSync;
  private readonly selectNextReady: StatementSync;
  private readonly selectNextReadyOf: StatementSync;
  private readonly selectRunning: StatementSync;
  private readonly countQueuedRuns: StatementSync;
  private readonly countOvertaken: StatementSync;
  private readonly insertRow: StatementSync;
  private readonly updateRow: StatementSync;
  private readonly updateBatch: StatementSync;
  private readonly updateMessages: StatementSync;
  private readonly updateBlocked: StatementSync;
  private readonly deleteOfSession: StatementSync;

  constructor(database: DatabaseSync) {
    const waiting = "WHERE r.tenant_no = ? AND r.session_no = ? AND r.state = 'queued'";
    const byReadiness = "INDEXED BY runs_ready";
    this.selectById = selectRuns(database, "WHERE r.tenant_no = ? AND r.run_id = ?");
    this.selectWaiting = selectRuns(database, `${waiting} ${inOrder} LIMIT ?`);
    this.selectCollecting = selectRuns(
      database,
      `${waiting} AND r.collects = 1 AND r.principal = ? AND r.agent_id = ? AND r.options = ? ORDER BY r.run_no DESC LIMIT 1`,
    );
    this.selectNextReady = selectRuns(database, `WHERE ${ready} ${inOrder} LIMIT 1`, byReadiness);
    this.selectNextReadyOf = selectRuns(
      database,
      `WHERE ${ready} AND (?1 = 0 OR r.tenant_no = ?1)
        AND (?2 IS NULL OR r.agent_id IN (SELECT value FROM json_each(?2)))
        AND r.agent_id NOT IN (SELECT value FROM json_each(?3)) ${inOrder} LIMIT 1`,
      byReadiness,
    );
    this.selectRunning = selectRuns(database, "WHERE r.state = 'running' ORDER BY r.run_no");
    this.countQueuedRuns = database.prepare(
      "SELECT count(*) AS count FROM runs r INDEXED BY runs_waiting WHERE r.state = 'queued'",
    );
    this.countOvertaken = database.prepare(`SELECT count(*) AS count FROM runs r
      WHERE r.tenant_no = ? AND r.session_no = ? AND r.state = 'queued' AND r.priority < ?`);
    this.insertRow = database.prepare(`INSERT INTO runs (tenant_no, session_no, run_id, session_id, agent_id, state,
      blocked, status, failure, epoch, attempt, batch_no, batch_first_seq, batch_last_seq, priority, message_ids, options,
      principal, trace_id, queued_at_ms, started_at_ms, finished_at_ms, queued_seq, finished_seq, cancelled_by,
      cancel_reason, collects, prior_run_no)
      VALUES (?, ?, ?, ?, ?, ?, ?, 0, x'', 0, 0, 0, 0, 0, ?, ?, ?, ?, ?, ?, 0, 0, ?, 0, '', '', ?, ?)`);
    this.updateRow = database.prepare(`UPDATE runs SET state = ?, status = ?, failure = ?, epoch = ?, attempt = ?,
      batch_no = ?, batch_first_seq = ?, batch_last_seq = ?, started_at_ms = ?, finished_at_ms = ?, finished_seq = ?,
      cancelled_by = ?, cancel_reason = ?, acted_command_id = ? WHERE run_no = ?`);
    this.updateBatch = database.prepare(`UPDATE runs SET batch_no = ?, batch_first_seq = ?, batch_last_seq = ?,
      acted_command_id = ? WHERE run_no = ?`);
    this.updateMessages = database.prepare(
      "UPDATE runs SET message_ids = ?, priority = ?, last_command_id = ? WHERE run_no = ?",
    );
    this.updateBlocked = database.prepare(
      "UPDATE runs SET blocked = ? WHERE tenant_no = ? AND session_no = ? AND state = 'queued'",
    );
    this.deleteOfSession = database.prepare(`DELETE FROM runs WHERE run_no IN (${runNosOfSession})`);
  }

  findById(tenantNo: number, runId: string): StoredRun | undefined {
    const columns = this.selectById.get(tenantNo, runId);
    return columns === undefined ? undefined : toStoredRun(columns);
  }

  /** A run that another row names; it is there. */
  get(tenantNo: number, runId: string): StoredRun {
    return toStoredRun(this.selectById.get(tenantNo, runId));
  }

  /** The waiting run of a session that will be taken first. */
  findFirstWaiting(tenantNo: number, sessionNo: number): StoredRun | undefined {
    const columns = this.selectWaiting.get(tenantNo, sessionNo, 1);
    return columns === undefined ? undefined : toStoredRun(columns);
  }

  /** Every waiting run of a session, in the order in which they will be taken; a session's queue is bounded. */
  listWaiting(tenantNo: number, sessionNo: number): StoredRun[] {
    return this.selectWaiting.all(tenantNo, sessionNo, -1).map(toStoredRun);
  }

  /** The newest waiting run that others may join who are alike. */
  findCollecting(
    tenantNo: number,
    sessionNo: number,
    alike: Pick<RunRow, "principal" | "agentId" | "options">,
  ): StoredRun | undefined {
    const { principal, agentId, options } = alike;
    const columns = this.selectCollecting.get(tenantNo, sessionNo, principal, agentId, options);
    return columns === undefined ? undefined : toStoredRun(columns);
  }

  /** The run that a claim takes next. */
  findNextReady(reach: ReachedRuns | undefined): StoredRun | undefined {
    const columns =
      reach === undefined
        ? this.selectNextReady.get()
        : this.selectNextReadyOf.get(
            reach.tenantNo,
            reach.agentIds && JSON.stringify(reach.agentIds),
            JSON.stringify(reach.exceptAgentIds),
          );
    return columns === undefined ? undefined : toStoredRun(columns);
  }

  listRunning(): RunRow[] {
    return this.selectRunning.all().map((columns) => toStoredRun(columns).row);
  }

  countQueued(): number {
    return Number(this.countQueuedRuns.get()?.count);
  }

  /**
   * How many waiting runs of a session a new one of this priority would stand behind. Counts those that it overtakes,
   * which are few, not those that are ahead, which may be the whole queue.
   */
  countWaitingAhead({ tenantNo, sessionNo, row }: StoredSession, priority: number): number {
    if (row.queuedRuns === 0) return 0;
    return row.queuedRuns - Number(this.countOvertaken.get(tenantNo, sessionNo, priority)?.count);
  }

  /** Returns the session that knows of it, which is not saved yet. */
  insertQueued(session: StoredSession, run: RunRow, blocked: boolean): StoredSession {
    const { tenantNo, sessionNo, lastRunNo } = session;
    const { lastInsertRowid } = this.insertRow.run(
      tenantNo,
      sessionNo,
      run.runId,
      run.sessionId,
      run.agentId,
      run.state,
      blocked ? 1 : 0,
      run.priority,
      JSON.stringify(run.messageIds),
      run.options,
      run.principal,
      run.traceId,
      run.queuedAtMs,
      run.queuedSeq,
      run.collects ? 1 : 0,
      lastRunNo,
    );
    return { ...session, lastRunNo: Number(lastInsertRowid) };
  }

  /** Writes what changes in a run's life. */
  save({ runNo, batchFirstSeq, batchLastSeq, actedCommandId, row }: StoredRun): void {
    this.updateRow.run(
      row.state,
      row.status,
      row.failure,
      row.epoch,
      row.attempt,
      row.batchNo,
      batchFirstSeq,
      batchLastSeq,
      row.startedAtMs,
      row.finishedAtMs,
      row.finishedSeq,
      row.cancelledBy,
      row.cancelReason,
      actedCommandId,
      runNo,
    );
  }

  /** Writes what messages and commands that came later change. */
  saveMessages({ runNo, lastCommandId, row }: StoredRun): void {
    this.updateMessages.run(JSON.stringify(row.messageIds), row.priority, lastCommandId, runNo);
  }

  /** Writes the answer to a batch that does not end the run; cheaper than `save`, which touches indexes. */
  saveBatch({ runNo, batchFirstSeq, batchLastSeq, actedCommandId, row }: StoredRun): void {
    this.updateBatch.run(row.batchNo, batchFirstSeq, batchLastSeq, actedCommandId, runNo);
  }

  /** Their commands are gone already. */
  removeAllOf({ sessionNo }: StoredSession): void {
    this.deleteOfSession.run(sessionNo);
  }

  setBlocked(tenantNo: number, sessionNo: number, blocked: boolean): void {
    this.updateBlocked.run(blocked ? 1 : 0, tenantNo, sessionNo);
  }
}
