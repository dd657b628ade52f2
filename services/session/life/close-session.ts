/**
 * Closes a session: from then on it can be read and forked, not written.
 *
 * Keeps R1, R2 and R5: runs that wait end with the closing; the active one and those of child sessions are asked to
 * stop, as CancelRun does it.
 */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { SessionState } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import {
  type CloseSessionRequest,
  CloseSessionRequestSchema,
  type CloseSessionResponse,
  CloseSessionResponseSchema,
} from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { encodeEvent } from "../../kernel/event/encode-event.ts";
import { scopeOf } from "../../kernel/rpc/call-context.ts";
import { answerOf, requestOf } from "../accepting/request-digest.ts";
import type { SubmitEffects } from "../accepting/submit-message.ts";
import { requireOpened, sessionNotFound } from "../reading/read-session.ts";
import { toSession } from "../reading/session-message.ts";
import { wishToCancel } from "../runs/cancel-wish.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { SessionEnded } from "../store/changes.ts";

export async function closeSession(
  deps: SessionDeps,
  effects: Pick<SubmitEffects, "commanded">,
  message: CloseSessionRequest,
  context: HandlerContext,
): Promise<CloseSessionResponse> {
  const { sessionId } = message;
  requireOpened(sessionId, context);
  const scope = scopeOf(context);
  const request = requestOf(
    CloseSessionRequestSchema,
    message,
    "atoll.session.v1.SessionService/CloseSession",
    ({ session }: SessionEnded) =>
      toBinary(CloseSessionResponseSchema, create(CloseSessionResponseSchema, { session: toSession(session) })),
  );
  const outcome = await deps.store.closeSession(scope, request, {
    sessionId,
    wish: wishToCancel(scope.principal, "the session was closed"),
    event: () => {
      const value = { fields: ["state"], state: SessionState.CLOSED, changedBy: scope.principal };
      return encodeEvent({ body: { case: "sessionUpdated", value } });
    },
  });
  if (outcome.kind === "session-not-found") throw sessionNotFound({ sessionId });
  const answer = answerOf(outcome, request);
  if (outcome.kind === "done") {
    effects.commanded(outcome.outcome.commanded);
    for (const appended of outcome.outcome.appended) deps.bus.publish(appended);
  }
  return fromBinary(CloseSessionResponseSchema, answer);
}
