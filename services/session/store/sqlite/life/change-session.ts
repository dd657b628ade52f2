/** Changes a session's own facts. Keeps R1, and that a refusal changes nothing: every check comes before the first write. */

import type { Scope } from "../../../../kernel/store/scope.ts";
import type { ChangeRefusal, SessionChange, SessionChanged } from "../../changes.ts";
import type { Answered, Request } from "../../request.ts";
import type { SessionTables } from "../session-tables.ts";
import type { StoredSession } from "./session-columns.ts";

/** See SessionStore.changeSession. */
export function changeSession(
  tables: SessionTables,
  scope: Scope,
  request: Request<SessionChanged>,
  { sessionId, ifHeadSeq, change, event }: SessionChange,
  nowMs: number,
): Answered<SessionChanged> | ChangeRefusal {
  const tenantNo = tables.tenants.find(scope.tenant);
  if (tenantNo === undefined) return { kind: "session-not-found" };
  const replayed = tables.requests.replay(tenantNo, scope.principal, request);
  if (replayed !== undefined) return replayed;
  const session = tables.sessions.findById(tenantNo, sessionId);
  if (session === undefined) return { kind: "session-not-found" };
  const { row } = session;
  if (row.state === "closed") return { kind: "session-closed" };
  if (ifHeadSeq !== undefined && ifHeadSeq !== row.headSeq) return { kind: "head-moved", headSeq: row.headSeq };
  const changed: StoredSession = { ...session, row: { ...row, ...change(row) } };
  const [grown, appended] = tables.events.append(changed, [event(changed.row)], nowMs);
  const saved = tables.sessions.save(grown);
  return tables.requests.store(tenantNo, scope.principal, request, { session: saved.row, appended }, nowMs);
}
