/**
 * Reads and writes rows of `runs`.
 *
 * Keeps R3: `blocked` is 1 for every waiting run of a session that has a running one, so that a claim finds the next run
 * of all sessions with one look into an index.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { RunRow } from "../session-store.ts";

/** A run with its place in the file and the answer to its last batch. */
export interface StoredRun {
  readonly runNo: number;
  readonly tenantNo: number;
  readonly sessionNo: number;
  /** Of the last committed batch of this epoch; 0 when there is none. */
  readonly batchFirstSeq: number;
  readonly batchLastSeq: number;
  readonly row: RunRow;
}

type RunColumns = Omit<RunRow, "messageIds"> & Omit<StoredRun, "row"> & { messageIds: string };

const selectRun = `SELECT r.run_no AS runNo, r.tenant_no AS tenantNo, r.session_no AS sessionNo,
  r.batch_first_seq AS batchFirstSeq, r.batch_last_seq AS batchLastSeq, t.tenant, r.run_id AS runId,
  r.session_id AS sessionId, r.agent_id AS agentId, r.state, r.status, r.failure, r.epoch, r.attempt,
  r.batch_no AS batchNo, r.priority, r.message_ids AS messageIds, r.options, r.principal, r.trace_id AS traceId,
  r.queued_at_ms AS queuedAtMs, r.started_at_ms AS startedAtMs, r.finished_at_ms AS finishedAtMs,
  r.queued_seq AS queuedSeq, r.finished_seq AS finishedSeq, r.cancelled_by AS cancelledBy,
  r.cancel_reason AS cancelReason`;
const fromRuns = "FROM runs r JOIN tenants t USING (tenant_no)";
const ready = "r.state = 'queued' AND r.blocked = 0";

function toStoredRun(columns: unknown): StoredRun {
  const { runNo, tenantNo, sessionNo, batchFirstSeq, batchLastSeq, messageIds, ...row } = columns as RunColumns;
  return {
    runNo,
    tenantNo,
    sessionNo,
    batchFirstSeq,
    batchLastSeq,
    row: { ...row, messageIds: JSON.parse(messageIds) as string[] },
  };
}

export class RunRows {
  private readonly selectById: StatementSync;
  private readonly selectFirstWaiting: StatementSync;
  private readonly selectNextReady: StatementSync;
  private readonly selectNextReadyOf: StatementSync;
  private readonly selectRunning: StatementSync;
  private readonly countReadySessions: StatementSync;
  private readonly countAhead: StatementSync;
  private readonly insertRow: StatementSync;
  private readonly updateRow: StatementSync;
  private readonly updateBatch: StatementSync;
  private readonly updateBlocked: StatementSync;

  constructor(database: DatabaseSync) {
    this.selectById = database.prepare(`${selectRun} ${fromRuns} WHERE r.tenant_no = ? AND r.run_id = ?`);
    this.selectFirstWaiting = database.prepare(`${selectRun} ${fromRuns} WHERE r.tenant_no = ? AND r.session_no = ?
      AND r.state = 'queued' ORDER BY r.priority DESC, r.run_no LIMIT 1`);
    const nextReady = `${selectRun} FROM runs r INDEXED BY runs_ready JOIN tenants t USING (tenant_no) WHERE ${ready}`;
    this.selectNextReady = database.prepare(`${nextReady} ORDER BY r.priority DESC, r.run_no LIMIT 1`);
    this.selectNextReadyOf = database.prepare(
      `${nextReady} AND r.agent_id IN (SELECT value FROM json_each(?)) ORDER BY r.priority DESC, r.run_no LIMIT 1`,
    );
    this.selectRunning = database.prepare(`${selectRun} ${fromRuns} WHERE r.state = 'running' ORDER BY r.run_no`);
    this.countReadySessions = database.prepare(
      `SELECT count(DISTINCT r.session_no) AS count FROM runs r WHERE ${ready}`,
    );
    this.countAhead = database.prepare(`SELECT count(*) AS count FROM runs r WHERE r.tenant_no = ? AND r.session_no = ?
      AND r.state = 'queued' AND r.priority >= ?`);
    this.insertRow = database.prepare(`INSERT INTO runs (tenant_no, session_no, run_id, session_id, agent_id, state,
      blocked, status, failure, epoch, attempt, batch_no, batch_first_seq, batch_last_seq, priority, message_ids, options,
      principal, trace_id, queued_at_ms, started_at_ms, finished_at_ms, queued_seq, finished_seq, cancelled_by,
      cancel_reason) VALUES (?, ?, ?, ?, ?, ?, ?, 0, x'', 0, 0, 0, 0, 0, ?, ?, ?, ?, ?, ?, 0, 0, ?, 0, '', '')`);
    this.updateRow = database.prepare(`UPDATE runs SET state = ?, status = ?, failure = ?, epoch = ?, attempt = ?,
      batch_no = ?, batch_first_seq = ?, batch_last_seq = ?, started_at_ms = ?, finished_at_ms = ?, finished_seq = ?,
      cancelled_by = ?, cancel_reason = ? WHERE run_no = ?`);
    this.updateBatch = database.prepare(
      "UPDATE runs SET batch_no = ?, batch_first_seq = ?, batch_last_seq = ? WHERE run_no = ?",
    );
    this.updateBlocked = database.prepare(
      "UPDATE runs SET blocked = ? WHERE tenant_no = ? AND session_no = ? AND state = 'queued'",
    );
  }

  findById(tenantNo: number, runId: string): StoredRun | undefined {
    const columns = this.selectById.get(tenantNo, runId);
    return columns === undefined ? undefined : toStoredRun(columns);
  }

  /** The waiting run of a session that will be taken first. */
  findFirstWaiting(tenantNo: number, sessionNo: number): StoredRun | undefined {
    const columns = this.selectFirstWaiting.get(tenantNo, sessionNo);
    return columns === undefined ? undefined : toStoredRun(columns);
  }

  /** The run that a claim takes next; no agents mean any agent. */
  findNextReady(agentIds: readonly string[]): StoredRun | undefined {
    const columns =
      agentIds.length === 0 ? this.selectNextReady.get() : this.selectNextReadyOf.get(JSON.stringify(agentIds));
    return columns === undefined ? undefined : toStoredRun(columns);
  }

  listRunning(): RunRow[] {
    return this.selectRunning.all().map((columns) => toStoredRun(columns).row);
  }

  /** How many runs could be claimed now: one a session. */
  countReady(): number {
    return Number(this.countReadySessions.get()?.count);
  }

  /** How many waiting runs of a session a new one of this priority would stand behind. */
  countWaitingAhead(tenantNo: number, sessionNo: number, priority: number): number {
    return Number(this.countAhead.get(tenantNo, sessionNo, priority)?.count);
  }

  insertQueued(tenantNo: number, sessionNo: number, run: RunRow, blocked: boolean): void {
    this.insertRow.run(
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
    );
  }

  /** Writes what changes in a run's life. */
  save({ runNo, batchFirstSeq, batchLastSeq, row }: StoredRun): void {
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
      runNo,
    );
  }

  /** Writes the answer to a batch that does not end the run; cheaper than `save`, which touches indexes. */
  saveBatch({ runNo, batchFirstSeq, batchLastSeq, row }: StoredRun): void {
    this.updateBatch.run(row.batchNo, batchFirstSeq, batchLastSeq, runNo);
  }

  setBlocked(tenantNo: number, sessionNo: number, blocked: boolean): void {
    this.updateBlocked.run(blocked ? 1 : 0, tenantNo, sessionNo);
  }
}
