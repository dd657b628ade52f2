/** Creates a session, or finds the one that has the key. Keeps R1. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type CreateSessionRequest,
  CreateSessionRequestSchema,
  type CreateSessionResponse,
  CreateSessionResponseSchema,
} from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { newId } from "../../kernel/id.ts";
import { scopeOf } from "../../kernel/rpc/call-context.ts";
import { answerOf, requestOf } from "../accepting/request-digest.ts";
import { routeKey } from "../accepting/route-key.ts";
import { requireUnbound } from "../reading/read-session.ts";
import { toSession } from "../reading/session-message.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { SessionRow } from "../store/rows.ts";
import { checkResetPolicy } from "./reset-policy.ts";
import { encodeProfile } from "./session-profile.ts";

export async function createSession(
  deps: SessionDeps,
  message: CreateSessionRequest,
  context: HandlerContext,
): Promise<CreateSessionResponse> {
  requireUnbound(context);
  checkResetPolicy(message.resetPolicy, "reset_policy");
  const request = requestOf(
    CreateSessionRequestSchema,
    message,
    "atoll.session.v1.SessionService/CreateSession",
    (outcome: { session: SessionRow; created: boolean }) =>
      toBinary(
        CreateSessionResponseSchema,
        create(CreateSessionResponseSchema, { session: toSession(outcome.session), created: outcome.created }),
      ),
  );
  const outcome = await deps.store.createSession(scopeOf(context), request, {
    sessionId: newId("ses", deps.clock),
    logId: newId("log", deps.clock),
    ...routeKey(deps.settings, message.key, message.agentId),
    title: message.title,
    labels: message.labels,
    parentSessionId: message.parentSessionId,
    profile: encodeProfile(message),
  });
  const answer = answerOf(outcome, request);
  if (outcome.kind === "done" && outcome.outcome.created) {
    const { tenant, sessionId, logId, headSeq } = outcome.outcome.session;
    deps.bus.publish({ tenant, sessionId, logId, events: [], headSeq });
  }
  return fromBinary(CreateSessionResponseSchema, answer);
}
