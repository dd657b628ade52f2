/**
 * Removes a session with everything that is stored of it.
 *
 * Keeps R1, R5 (who works for it or below it is told to stop: no later cancel finds the way there) and that nothing of it
 * is left that a session of the same row number could take for its own: its rows go in one change, its own last.
 */

import type { Scope } from "../../../../kernel/store/scope.ts";
import type { CancelWish, SessionEnded } from "../../changes.ts";
import type { Answered, Request } from "../../request.ts";
import { stopSessionWithChildren } from "../runs/command-run.ts";
import type { SessionTables } from "../session-tables.ts";

/** See SessionStore.deleteSession. */
export function deleteSession(
  tables: SessionTables,
  scope: Scope,
  request: Request<SessionEnded>,
  { sessionId, wish }: { readonly sessionId: string; readonly wish: CancelWish },
  nowMs: number,
): Answered<SessionEnded> | { readonly kind: "session-not-found" } {
  const tenantNo = tables.tenants.find(scope.tenant);
  if (tenantNo === undefined) return { kind: "session-not-found" };
  const replayed = tables.requests.replay(tenantNo, scope.principal, request);
  if (replayed !== undefined) return replayed;
  const session = tables.sessions.findById(tenantNo, sessionId);
  if (session === undefined) return { kind: "session-not-found" };
  const { ended, commanded } = stopSessionWithChildren(tables, session, wish, nowMs);
  tables.commands.removeAllOf(session);
  tables.calls.end(session.row.activeRunId);
  tables.runs.removeAllOf(session);
  tables.events.removeAllOf(session);
  tables.search.removeAllOf(session);
  tables.sessions.remove(session, nowMs);
  const outcome = { session: session.row, appended: ended, commanded };
  return tables.requests.store(tenantNo, scope.principal, request, outcome, nowMs);
}
