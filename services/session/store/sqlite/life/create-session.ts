/** Creates a session once. Keeps R1, and one session for each key of a tenant. */

import type { Scope } from "../../../../kernel/store/scope.ts";
import type { NewSession } from "../../changes.ts";
import type { Answered, Request } from "../../request.ts";
import type { SessionRow } from "../../rows.ts";
import type { SessionTables } from "../session-tables.ts";

type Created = { session: SessionRow; created: boolean };

/** See SessionStore.createSession. */
export function createSession(
  { tenants, sessions, requests }: SessionTables,
  scope: Scope,
  request: Request<Created>,
  session: NewSession,
  nowMs: number,
): Answered<Created> {
  const tenantNo = tenants.findOrInsert(scope.tenant);
  const replayed = requests.replay(tenantNo, scope.principal, request);
  if (replayed !== undefined) {
    return replayed;
  }
  const found = sessions.findByKey(tenantNo, session.key);
  const { row } = found ?? sessions.insert(tenantNo, session, scope.principal, nowMs);
  const outcome = { session: row, created: found === undefined };
  return requests.store(tenantNo, scope.principal, request, outcome, nowMs);
}
