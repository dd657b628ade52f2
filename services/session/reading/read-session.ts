/** Reads of sessions and runs. What belongs to another tenant, or to another run's token, is not there. */
import type { HandlerContext } from "@connectrpc/connect";
import type { GetRunRequest, GetSessionRequest } from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { principalOf, scopeOf } from "../../kernel/rpc/call-context.ts";
import { routeKey } from "../accepting/route-key.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { RunRow, SessionRow } from "../store/rows.ts";

export async function getSession(
  deps: SessionDeps,
  request: GetSessionRequest,
  context: HandlerContext,
): Promise<SessionRow> {
  const { by } = request;
  const asked = by.case === "key" ? { key: by.value } : { sessionId: by.value ?? "" };
  const found = "key" in asked ? { key: routeKey(deps.settings, asked.key, "").key } : asked;
  const row = await deps.store.getSession(scopeOf(context), found);
  if (row === undefined || !isOpened(row.sessionId, context)) throw sessionNotFound(asked);
  return row;
}

export function sessionNotFound(by: { readonly sessionId: string } | { readonly key: string }): Error {
  const metadata = "key" in by ? { key: by.key } : { session_id: by.sessionId };
  return failure(ErrorReason.SESSION_NOT_FOUND, `no such session: ${Object.values(metadata)[0]}`, { metadata });
}

export async function getRun(deps: SessionDeps, request: GetRunRequest, context: HandlerContext): Promise<RunRow> {
  const row = await deps.store.getRun(scopeOf(context), request.runId);
  const { run } = principalOf(context);
  if (row === undefined || (run !== undefined && run.runId !== row.runId)) throw runNotFound(request.runId);
  return row;
}

export function runNotFound(runId: string): Error {
  return failure(ErrorReason.RUN_NOT_FOUND, `no such run: ${runId}`, { metadata: { run_id: runId } });
}

/** Errors: SESSION_NOT_FOUND for what a run token does not open, as for what is not there. */
export function requireOpened(sessionId: string, context: Pick<HandlerContext, "values">): void {
  if (!isOpened(sessionId, context)) throw sessionNotFound({ sessionId });
}

/** A run token opens its own session and nothing else. */
function isOpened(sessionId: string, context: Pick<HandlerContext, "values">): boolean {
  const { run } = principalOf(context);
  return run === undefined || run.sessionId === sessionId;
}

/** A run token opens no list of sessions: it would tell of others. Errors: SCOPE_MISSING. */
export function requireUnbound(context: Pick<HandlerContext, "values">): void {
  if (principalOf(context).run === undefined) return;
  throw failure(ErrorReason.SCOPE_MISSING, "a run's token opens its own session: watch that one", {
    metadata: { scope: "SESSIONS_READ" },
  });
}
