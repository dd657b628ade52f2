/**
 * Closes a session: its runs, and those of the sessions below it, are ended or asked to stop in the change that closes it.
 *
 * Keeps R1, R2 (a run that waited has its terminal event with the closing) and R5 (the wish to stop is durable with it).
 */

import type { Scope } from "../../../../kernel/store/scope.ts";
import type { CancelWish, SessionEnded } from "../../changes.ts";
import type { Answered, Request } from "../../request.ts";
import { stopRun, stopSessionWithChildren } from "../runs/command-run.ts";
import type { SessionTables } from "../session-tables.ts";
import type { StoredSession } from "./session-columns.ts";

interface Closing {
  readonly sessionId: string;
  readonly wish: CancelWish;
  readonly event: () => Uint8Array;
}

/** See SessionStore.closeSession. */
export function closeSession(
  tables: SessionTables,
  scope: Scope,
  request: Request<SessionEnded>,
  closing: Closing,
  nowMs: number,
): Answered<SessionEnded> | { readonly kind: "session-not-found" } {
  const tenantNo = tables.tenants.find(scope.tenant);
  if (tenantNo === undefined) return { kind: "session-not-found" };
  const replayed = tables.requests.replay(tenantNo, scope.principal, request);
  if (replayed !== undefined) return replayed;
  const session = tables.sessions.findById(tenantNo, closing.sessionId);
  if (session === undefined) return { kind: "session-not-found" };
  const outcome =
    session.row.state === "closed"
      ? { session: session.row, appended: [], commanded: [] }
      : closeOpen(tables, session, closing, nowMs);
  return tables.requests.store(tenantNo, scope.principal, request, outcome, nowMs);
}

function closeOpen(
  tables: SessionTables,
  session: StoredSession,
  { wish, event }: Closing,
  nowMs: number,
): SessionEnded {
  const { tenantNo, sessionNo } = session;
  const waiting = { ended: [], commanded: [] };
  for (const run of tables.runs.listWaiting(tenantNo, sessionNo)) stopRun(tables, run, wish, nowMs, waiting);
  const { ended, commanded } = stopSessionWithChildren(tables, session, wish, nowMs);
  // What was stopped has changed the row.
  const [grown, appended] = tables.events.append(tables.sessions.get(sessionNo), [event()], nowMs);
  const closed = tables.sessions.save({ ...grown, row: { ...grown.row, state: "closed" } });
  return { session: closed.row, appended: [...waiting.ended, ...ended, appended], commanded };
}
