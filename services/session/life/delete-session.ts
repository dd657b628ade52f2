/**
 * Removes a session for good.
 *
 * Keeps R1 and R5: who works on its active run or for its child sessions is told to stop, and what the former still
 * writes is refused. Whoever reads its log is woken and learns that there is none any more.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type DeleteSessionRequest,
  DeleteSessionRequestSchema,
  type DeleteSessionResponse,
  DeleteSessionResponseSchema,
} from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { scopeOf } from "../../kernel/rpc/call-context.ts";
import { answerOf, requestOf } from "../accepting/request-digest.ts";
import type { SubmitEffects } from "../accepting/submit-message.ts";
import { requireOpened, sessionNotFound } from "../reading/read-session.ts";
import { wishToCancel } from "../runs/cancel-wish.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { SessionEnded } from "../store/changes.ts";

export async function deleteSession(
  deps: SessionDeps,
  effects: Pick<SubmitEffects, "commanded">,
  message: DeleteSessionRequest,
  context: HandlerContext,
): Promise<DeleteSessionResponse> {
  const { sessionId } = message;
  requireOpened(sessionId, context);
  const scope = scopeOf(context);
  const response = create(DeleteSessionResponseSchema);
  const request = requestOf(
    DeleteSessionRequestSchema,
    message,
    "atoll.session.v1.SessionService/DeleteSession",
    (_: SessionEnded) => toBinary(DeleteSessionResponseSchema, response),
  );
  const outcome = await deps.store.deleteSession(scope, request, {
    sessionId,
    wish: wishToCancel(scope.principal, "the session was deleted"),
  });
  if (outcome.kind === "session-not-found") throw sessionNotFound({ sessionId });
  answerOf(outcome, request);
  if (outcome.kind === "done") {
    const { session, appended, commanded } = outcome.outcome;
    effects.commanded(commanded);
    for (const each of appended) deps.bus.publish(each);
    const { tenant, logId, headSeq } = session;
    deps.bus.publish({ tenant, sessionId, logId, events: [], headSeq });
  }
  return response;
}
