/** Lists runs, page by page: of all sessions that the caller may see. */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { type Run, RunSchema, RunState } from "../../../gen/atoll/session/v1/run_pb.ts";
import {
  type ListRunsRequest,
  type ListRunsResponse,
  ListRunsResponseSchema,
} from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { boundSession } from "../../kernel/auth/principal.ts";
import { principalOf, scopeOf } from "../../kernel/rpc/call-context.ts";
import { countFitting } from "../reading/fit-answer.ts";
import { requireOpened } from "../reading/read-session.ts";
import { toRun } from "../reading/session-message.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { RunRow } from "../store/rows.ts";
import type { ListRunsInput, RunPage } from "../store/session-store.ts";

const defaultPageSize = 50;

/** No run is parked yet: none of that state is found. */
const stateNames = new Map<RunState, RunRow["state"]>([
  [RunState.QUEUED, "queued"],
  [RunState.RUNNING, "running"],
  [RunState.FINISHED, "finished"],
]);

/** Errors: SESSION_NOT_FOUND for a session that the token does not open; FIELD_INVALID for a page token of another list. */
export async function listRuns(
  deps: SessionDeps,
  request: ListRunsRequest,
  context: HandlerContext,
): Promise<ListRunsResponse> {
  const principal = principalOf(context);
  if (request.sessionId !== "") requireOpened(request.sessionId, context);
  const states = request.states.flatMap((state) => stateNames.get(state) ?? []);
  if (states.length === 0 && request.states.length > 0) return create(ListRunsResponseSchema);
  const wanted: ListRunsInput = {
    pageSize: request.pageSize || defaultPageSize,
    pageToken: request.pageToken,
    sessionId: boundSession(principal) ?? request.sessionId,
    states,
    agentId: request.agentId,
  };
  const { runs, page } = await readFittingPage(deps, context, wanted);
  const { run: own } = principal;
  const seen = own === undefined ? runs : runs.filter(({ runId }) => runId === own.runId);
  return create(ListRunsResponseSchema, { runs: seen, nextPageToken: page.nextPageToken });
}

/** A page that is too large for an answer is read again for what fits: only the store can say where the next begins. */
async function readFittingPage(
  deps: SessionDeps,
  context: HandlerContext,
  wanted: ListRunsInput,
): Promise<{ readonly runs: Run[]; readonly page: RunPage }> {
  for (let { pageSize } = wanted; ; ) {
    const page = await deps.store.listRuns(scopeOf(context), { ...wanted, pageSize });
    const runs = page.runs.map(toRun);
    const fitting = countFitting(RunSchema, runs);
    if (fitting === runs.length) return { runs, page };
    pageSize = fitting;
  }
}
