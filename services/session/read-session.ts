/** Reads of sessions and runs. What belongs to another tenant, or to another run's token, is not there. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { type Session, SessionSchema, SessionState } from "../../gen/atoll/session/v1/session_pb.ts";
import {
  type GetRunRequest,
  type GetSessionRequest,
  type ListSessionsRequest,
  type ListSessionsResponse,
  ListSessionsResponseSchema,
  SessionOrder,
} from "../../gen/atoll/session/v1/session_service_pb.ts";
import { ErrorReason, failure } from "../kernel/errors.ts";
import { principalOf, scopeOf } from "../kernel/rpc/call-context.ts";
import type { Scope } from "../kernel/store/scope.ts";
import { countFitting } from "./fit-answer.ts";
import { routeKey } from "./route-key.ts";
import type { SessionDeps } from "./session-deps.ts";
import { toListedSession, toSession } from "./session-message.ts";
import type { RunRow, SessionRow } from "./store/rows.ts";
import type { ListSessionsInput, SessionPage } from "./store/session-store.ts";

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

const defaultPageSize = 50;

const orders = new Map<SessionOrder, ListSessionsInput["order"]>([
  [SessionOrder.UNSPECIFIED, "updated-desc"],
  [SessionOrder.UPDATED_DESC, "updated-desc"],
  [SessionOrder.CREATED_DESC, "created-desc"],
  [SessionOrder.CREATED_ASC, "created-asc"],
]);

const stateNames = new Map<SessionState, SessionRow["state"]>([
  [SessionState.CREATED, "created"],
  [SessionState.ACTIVE, "active"],
  [SessionState.IDLE, "idle"],
  [SessionState.CLOSED, "closed"],
]);

export async function listSessions(
  deps: SessionDeps,
  request: ListSessionsRequest,
  context: HandlerContext,
): Promise<ListSessionsResponse> {
  const { run } = principalOf(context);
  if (run !== undefined) {
    // A run token opens its own session: a list of others would tell what it may not know.
    const own = await deps.store.getSession(scopeOf(context), { sessionId: run.sessionId });
    return create(ListSessionsResponseSchema, { sessions: own === undefined ? [] : [toSession(own)] });
  }
  const wanted: ListSessionsInput = {
    pageSize: request.pageSize || defaultPageSize,
    pageToken: request.pageToken,
    states: request.states.flatMap((state) => stateNames.get(state) ?? []),
    agentId: request.agentId,
    labels: request.labels,
    parentSessionId: request.parentSessionId,
    query: request.query,
    order: orders.get(request.order) ?? "updated-desc",
  };
  const { sessions, page } = await readFittingPage(deps, scopeOf(context), wanted);
  return create(ListSessionsResponseSchema, {
    sessions,
    nextPageToken: page.nextPageToken,
    indexCursor: { logId: page.index.feedId, afterSeq: BigInt(page.index.headSeq) },
  });
}

/** A page that is too large for an answer is read again for what fits: only the store can say where the next begins. */
async function readFittingPage(
  deps: SessionDeps,
  scope: Scope,
  wanted: ListSessionsInput,
): Promise<{ readonly sessions: Session[]; readonly page: SessionPage }> {
  for (let { pageSize } = wanted; ; ) {
    const page = await deps.store.listSessions(scope, { ...wanted, pageSize });
    const sessions = page.sessions.map(toListedSession);
    const fitting = countFitting(SessionSchema, sessions);
    if (fitting === sessions.length) return { sessions, page };
    pageSize = fitting;
  }
}
