/** How a row of `sessions` is selected and what becomes of it. */
import type { SessionRow } from "../rows.ts";

/** A session with its place in the file. */
export interface StoredSession {
  readonly sessionNo: number;
  readonly tenantNo: number;
  readonly row: SessionRow;
}

/** What `sessionColumns` selects. */
type SessionColumns = Omit<SessionRow, "labels"> & { sessionNo: number; tenantNo: number; labels: string };

/** Of `sessions s JOIN tenants t`. */
export const sessionColumns = `s.session_no AS sessionNo, s.tenant_no AS tenantNo, t.tenant, s.session_id AS sessionId,
  s.session_key AS "key", s.agent_id AS agentId, s.state, s.title, s.labels, s.log_id AS logId, s.head_seq AS headSeq,
  s.oldest_seq AS oldestSeq, s.active_run_id AS activeRunId, s.queued_runs AS queuedRuns,
  s.parent_session_id AS parentSessionId, s.created_by AS createdBy, s.created_at_ms AS createdAtMs,
  s.updated_at_ms AS updatedAtMs, s.last_message_at_ms AS lastMessageAtMs, s.message_count AS messageCount, s.profile,
  s.idle_timeout_ms AS idleTimeoutMs, s.context_floor_seq AS contextFloorSeq, s.log_bytes AS logBytes,
  s.compacted_seq AS compactedSeq, s.searched_seq AS searchedSeq, s.index_seq AS indexSeq,
  s.forked_from_session_id AS forkedFromSessionId, s.forked_at_seq AS forkedAtSeq, s.trimmed_at_ms AS trimmedAtMs`;

/** Makes a session of what `sessionColumns` selected. */
export function toStoredSession(columns: unknown): StoredSession {
  const { sessionNo, tenantNo, labels, ...row } = columns as SessionColumns;
  return { sessionNo, tenantNo, row: { ...row, labels: JSON.parse(labels) as Record<string, string> } };
}
