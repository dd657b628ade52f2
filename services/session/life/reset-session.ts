/** Starts a session's context over: what stands in the log is kept and no longer shown to the model. Keeps R1. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type ResetSessionRequest,
  ResetSessionRequestSchema,
  type ResetSessionResponse,
  ResetSessionResponseSchema,
} from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { encodeEvent } from "../../kernel/event/encode-event.ts";
import { scopeOf } from "../../kernel/rpc/call-context.ts";
import { answerOf, requestOf } from "../accepting/request-digest.ts";
import { requireOpened } from "../reading/read-session.ts";
import { toSession } from "../reading/session-message.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { SessionChanged } from "../store/changes.ts";
import { changeRefusal } from "./change-refusal.ts";

export async function resetSession(
  deps: SessionDeps,
  message: ResetSessionRequest,
  context: HandlerContext,
): Promise<ResetSessionResponse> {
  const { sessionId } = message;
  requireOpened(sessionId, context);
  const scope = scopeOf(context);
  const request = requestOf(
    ResetSessionRequestSchema,
    message,
    "atoll.session.v1.SessionService/ResetSession",
    ({ session }: SessionChanged) =>
      toBinary(ResetSessionResponseSchema, create(ResetSessionResponseSchema, { session: toSession(session) })),
  );
  const outcome = await deps.store.changeSession(scope, request, {
    sessionId,
    ifHeadSeq: message.ifHeadSeq === undefined ? undefined : Number(message.ifHeadSeq),
    change: ({ headSeq }) => ({ contextFloorSeq: headSeq }),
    event: ({ contextFloorSeq }) => {
      const value = { fields: ["context_floor_seq"], contextFloorSeq: BigInt(contextFloorSeq) };
      return encodeEvent({ body: { case: "sessionUpdated", value: { ...value, changedBy: scope.principal } } });
    },
  });
  if (outcome.kind !== "done" && outcome.kind !== "replayed" && outcome.kind !== "request-id-reused")
    throw changeRefusal(outcome, sessionId);
  const answer = answerOf(outcome, request);
  if (outcome.kind === "done") deps.bus.publish(outcome.outcome.appended);
  return fromBinary(ResetSessionResponseSchema, answer);
}
