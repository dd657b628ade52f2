/** How rows of `runs` are selected and what becomes of them; as arrays, like sessions (session-columns.ts). */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { RunRow, RunState } from "../../rows.ts";

/** A run with its place in the file and the answer to its last batch. */
export interface StoredRun {
  readonly runNo: number;
  readonly tenantNo: number;
  readonly sessionNo: number;
  /** Of the last committed batch of this epoch; 0 when there is none. */
  readonly batchFirstSeq: number;
  readonly batchLastSeq: number;
  /** The newest command that it was given, and the newest that its holder acted on; the same when none is open. */
  readonly lastCommandId: number;
  readonly actedCommandId: number;
  readonly row: RunRow;
}

/** The columns of `toStoredRun`, in its order. */
const columns = `r.run_no, r.tenant_no, r.session_no, r.batch_first_seq, r.batch_last_seq, r.last_command_id,
  r.acted_command_id, t.tenant, r.run_id, r.session_id, r.agent_id, r.state, r.status, r.failure, r.epoch, r.attempt,
  r.batch_no, r.priority, r.message_ids, r.collects, r.options, r.principal, r.trace_id, r.queued_at_ms, r.started_at_ms,
  r.finished_at_ms, r.queued_seq, r.finished_seq, r.cancelled_by, r.cancel_reason`;

type RunColumns = [
  runNo: number,
  tenantNo: number,
  sessionNo: number,
  batchFirstSeq: number,
  batchLastSeq: number,
  lastCommandId: number,
  actedCommandId: number,
  tenant: string,
  runId: string,
  sessionId: string,
  agentId: string,
  state: RunState,
  status: number,
  failure: Uint8Array,
  epoch: number,
  attempt: number,
  batchNo: number,
  priority: number,
  messageIds: string,
  collects: number,
  options: Uint8Array,
  principal: string,
  traceId: string,
  queuedAtMs: number,
  startedAtMs: number,
  finishedAtMs: number,
  queuedSeq: number,
  finishedSeq: number,
  cancelledBy: string,
  cancelReason: string,
];

/** Prepares what `toStoredRun` reads, of `runs r JOIN tenants t`. `index` is an INDEXED BY of the runs. */
export function selectRuns(database: DatabaseSync, clauses: string, index = ""): StatementSync {
  const statement = database.prepare(
    `SELECT ${columns} FROM runs r ${index} JOIN tenants t USING (tenant_no) ${clauses}`,
  );
  statement.setReturnArrays(true);
  return statement;
}

/** A SELECT of the `run_no` of every run of a session, whose number is its parameter, the newest first. */
export const runNosOfSession = `WITH RECURSIVE chain (run_no) AS (
    SELECT last_run_no FROM sessions WHERE session_no = ? AND last_run_no > 0
    UNION SELECT prior_run_no FROM runs JOIN chain USING (run_no) WHERE prior_run_no > 0)
  SELECT run_no FROM chain`;

/** Makes a run of what `selectRuns` selected. */
export function toStoredRun(columns: unknown): StoredRun {
  const [
    runNo,
    tenantNo,
    sessionNo,
    batchFirstSeq,
    batchLastSeq,
    lastCommandId,
    actedCommandId,
    tenant,
    runId,
    sessionId,
    agentId,
    state,
    status,
    failure,
    epoch,
    attempt,
    batchNo,
    priority,
    messageIds,
    collects,
    options,
    principal,
    traceId,
    queuedAtMs,
    startedAtMs,
    finishedAtMs,
    queuedSeq,
    finishedSeq,
    cancelledBy,
    cancelReason,
  ] = columns as RunColumns;
  return {
    runNo,
    tenantNo,
    sessionNo,
    batchFirstSeq,
    batchLastSeq,
    lastCommandId,
    actedCommandId,
    row: {
      tenant,
      runId,
      sessionId,
      agentId,
      state,
      status,
      failure,
      epoch,
      attempt,
      batchNo,
      priority,
      messageIds: JSON.parse(messageIds) as string[],
      collects: collects === 1,
      options,
      principal,
      traceId,
      queuedAtMs,
      startedAtMs,
      finishedAtMs,
      queuedSeq,
      finishedSeq,
      cancelledBy,
      cancelReason,
    },
  };
}
