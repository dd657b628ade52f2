/** Lists sessions, page by page. What belongs to another tenant, or to another session than a run's token opens, is not there. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { SessionState } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import { type Session, SessionSchema } from "../../../gen/atoll/session/v1/session_pb.ts";
import {
  type ListSessionsRequest,
  type ListSessionsResponse,
  ListSessionsResponseSchema,
  SessionOrder,
} from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { boundSession } from "../../kernel/auth/principal.ts";
import { principalOf, scopeOf } from "../../kernel/rpc/call-context.ts";
import type { Scope } from "../../kernel/store/scope.ts";
import { countFitting } from "../reading/fit-answer.ts";
import { toListedSession } from "../reading/session-message.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { ListSessionsInput, SessionPage } from "../store/pages.ts";
import type { SessionRow } from "../store/rows.ts";

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
  const sessionId = boundSession(principalOf(context));
  if (sessionId !== undefined) {
    // The token opens one session: a list of others would tell what it may not know.
    const own = await deps.store.getSession(scopeOf(context), { sessionId });
    return create(ListSessionsResponseSchema, { sessions: own === undefined ? [] : [toListedSession(own)] });
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
