/** Reads of sessions and runs. What belongs to another tenant, or to another run's token, is not there. */
import type { HandlerContext } from "@connectrpc/connect";
import type { GetRunRequest, GetSessionRequest } from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { boundSession } from "../../kernel/auth/principal.ts";
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

export async function getRun(
  deps: SessionDeps,
  request: Pick<GetRunRequest, "runId">,
  context: HandlerContext,
): Promise<RunRow> {
  const row = await deps.store.getRun(scopeOf(context), request.runId);
  const { run } = principalOf(context);
  const isOther = row !== undefined && run !== undefined && run.runId !== row.runId;
  if (row === undefined || isOther || !isOpened(row.sessionId, context)) throw runNotFound(request.runId);
  return row;
}

export function runNotFound(runId: string): Error {
  return failure(ErrorReason.RUN_NOT_FOUND, `no such run: ${runId}`, { metadata: { run_id: runId } });
}

/** Errors: SESSION_NOT_FOUND for what a token that is bound to a session does not open, as for what is not there. */
export function requireOpened(sessionId: string, context: Pick<HandlerContext, "values">): void {
  if (!isOpened(sessionId, context)) throw sessionNotFound({ sessionId });
}

/** A token that is bound to a session, a run's or a link's, opens that one and nothing else. */
function isOpened(sessionId: string, context: Pick<HandlerContext, "values">): boolean {
  const bound = boundSession(principalOf(context));
  return bound === undefined || bound === sessionId;
}

/** It opens no list of sessions, which would tell of others, and makes none. Errors: SCOPE_MISSING. */
export function requireUnbound(context: Pick<HandlerContext, "values">): void {
  if (boundSession(principalOf(context)) === undefined) return;
  throw failure(ErrorReason.SCOPE_MISSING, "the token opens one session: name that one", {
    metadata: { scope: "SESSIONS_READ" },
  });
}
