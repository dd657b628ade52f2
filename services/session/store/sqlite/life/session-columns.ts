/**
 * How rows of `sessions` are selected and what becomes of them.
 *
 * Rows come as arrays and become objects of one shape: it costs a quarter of what objects with named columns cost, and
 * a session is read for each change of it.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { SessionRow, SessionState } from "../../rows.ts";

/** A session with its place in the file. */
export interface StoredSession {
  readonly sessionNo: number;
  readonly tenantNo: number;
  readonly row: SessionRow;
  /** Where the chain of its runs begins (runNosOfSession); 0 when it never had one. */
  readonly lastRunNo: number;
  /** What the file holds of it; a change replaces only `row`. */
  readonly stored: SessionRow;
}

/** The columns of `toStoredSession`, in its order. */
const columns = `s.session_no, s.tenant_no, s.last_run_no, t.tenant, s.session_id, s.session_key, s.agent_id, s.state, s.title, s.labels,
  s.log_id, s.head_seq, s.oldest_seq, s.active_run_id, s.queued_runs, s.parent_session_id, s.created_by,
  s.created_at_ms, s.updated_at_ms, s.last_message_at_ms, s.message_count, s.profile, s.idle_timeout_ms,
  s.context_floor_seq, s.log_bytes, s.compacted_seq, s.searched_seq, s.index_seq, s.forked_from_session_id,
  s.forked_at_seq, s.trimmed_at_ms, s.resets_at_ms`;

type SessionColumns = [
  sessionNo: number,
  tenantNo: number,
  lastRunNo: number,
  tenant: string,
  sessionId: string,
  key: string,
  agentId: string,
  state: SessionState,
  title: string,
  labels: string,
  logId: string,
  headSeq: number,
  oldestSeq: number,
  activeRunId: string,
  queuedRuns: number,
  parentSessionId: string,
  createdBy: string,
  createdAtMs: number,
  updatedAtMs: number,
  lastMessageAtMs: number,
  messageCount: number,
  profile: Uint8Array,
  idleTimeoutMs: number,
  contextFloorSeq: number,
  logBytes: number,
  compactedSeq: number,
  searchedSeq: number,
  indexSeq: number,
  forkedFromSessionId: string,
  forkedAtSeq: number,
  trimmedAtMs: number,
  resetsAtMs: string,
];

/** Prepares what `toStoredSession` reads, of `sessions s JOIN tenants t`. `index` is an INDEXED BY of the sessions. */
export function selectSessions(database: DatabaseSync, clauses: string, index = ""): StatementSync {
  const statement = database.prepare(
    `SELECT ${columns} FROM sessions s ${index} JOIN tenants t USING (tenant_no) ${clauses}`,
  );
  statement.setReturnArrays(true);
  return statement;
}

/** Who a row is about, also when the rest of it can't be read. */
export function readNames(columns: unknown): Pick<SessionRow, "tenant" | "sessionId"> {
  const [, , , tenant, sessionId] = columns as SessionColumns;
  return { tenant, sessionId };
}

/** Makes a session of what `selectSessions` selected. */
export function toStoredSession(columns: unknown): StoredSession {
  const [
    sessionNo,
    tenantNo,
    lastRunNo,
    tenant,
    sessionId,
    key,
    agentId,
    state,
    title,
    labels,
    logId,
    headSeq,
    oldestSeq,
    activeRunId,
    queuedRuns,
    parentSessionId,
    createdBy,
    createdAtMs,
    updatedAtMs,
    lastMessageAtMs,
    messageCount,
    profile,
    idleTimeoutMs,
    contextFloorSeq,
    logBytes,
    compactedSeq,
    searchedSeq,
    indexSeq,
    forkedFromSessionId,
    forkedAtSeq,
    trimmedAtMs,
    resetsAtMs,
  ] = columns as SessionColumns;
  const row: SessionRow = {
    tenant,
    sessionId,
    key,
    agentId,
    state,
    title,
    labels: JSON.parse(labels) as Record<string, string>,
    logId,
    headSeq,
    oldestSeq,
    activeRunId,
    queuedRuns,
    parentSessionId,
    createdBy,
    createdAtMs,
    updatedAtMs,
    lastMessageAtMs,
    messageCount,
    profile,
    idleTimeoutMs,
    contextFloorSeq,
    logBytes,
    compactedSeq,
    searchedSeq,
    indexSeq,
    forkedFromSessionId,
    forkedAtSeq,
    trimmedAtMs,
    resetsAtMs: resetsAtMs === "" ? [] : resetsAtMs.split(",").map(Number),
  };
  return { sessionNo, tenantNo, lastRunNo, row, stored: row };
}
