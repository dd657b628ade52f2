/**
 * Makes a new session whose log begins as a copy of another one.
 *
 * Keeps R1. Keeps L7: the copy is one change of the store, and a log that would hold the store up for long is refused.
 */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import {
  type ForkSessionRequest,
  ForkSessionRequestSchema,
  type ForkSessionResponse,
  ForkSessionResponseSchema,
} from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { encodeEvent } from "../../kernel/event/encode-event.ts";
import { newId } from "../../kernel/id.ts";
import { scopeOf } from "../../kernel/rpc/call-context.ts";
import { answerOf, requestOf } from "../accepting/request-digest.ts";
import { routeKey } from "../accepting/route-key.ts";
import { requireOpened, requireUnbound, sessionNotFound } from "../reading/read-session.ts";
import { toSession } from "../reading/session-message.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { Forked, ForkRefusal } from "../store/changes.ts";
import { sessionStates } from "../store/session-states.ts";

/** A third of a second of the store where no delta is merged yet, less where they are. */
const maxCopiedBytes = 16_777_216;

export async function forkSession(
  deps: SessionDeps,
  message: ForkSessionRequest,
  context: HandlerContext,
): Promise<ForkSessionResponse> {
  const { sessionId, title } = message;
  // Without a key the original's agent goes on; a key has one of its own.
  const { key, agentId } = message.key === "" ? { key: "", agentId: "" } : routeKey(deps.settings, message.key, "");
  requireOpened(sessionId, context);
  requireUnbound(context);
  const scope = scopeOf(context);
  const changedBy = scope.principal;
  const request = requestOf(
    ForkSessionRequestSchema,
    message,
    "atoll.session.v1.SessionService/ForkSession",
    ({ session }: Forked) =>
      toBinary(ForkSessionResponseSchema, create(ForkSessionResponseSchema, { session: toSession(session) })),
  );
  const outcome = await deps.store.forkSession(scope, request, {
    ...{ sessionId, key, agentId, title, atSeq: Number(message.atSeq), maxBytes: maxCopiedBytes },
    forkId: newId("ses", deps.clock),
    logId: newId("log", deps.clock),
    ending: ({ runId, attempt }) => {
      const value = { status: RunStatus.CANCELLED, cancelledBy: changedBy };
      return encodeEvent({ runId, attempt, body: { case: "runFinished", value } });
    },
    update: (session, fields) => {
      const facts = {
        ...(fields.includes("title") ? { title: session.title } : {}),
        ...(fields.includes("state") ? { state: sessionStates[session.state] } : {}),
      };
      return encodeEvent({ body: { case: "sessionUpdated", value: { fields: [...fields], changedBy, ...facts } } });
    },
  });
  if (isRefused(outcome)) throw refusal(outcome, message);
  const answer = answerOf(outcome, request);
  if (outcome.kind === "done") deps.bus.publish(outcome.outcome.appended);
  return fromBinary(ForkSessionResponseSchema, answer);
}

type Outcome = Awaited<ReturnType<SessionDeps["store"]["forkSession"]>>;

function isRefused(outcome: Outcome): outcome is ForkRefusal {
  return outcome.kind !== "done" && outcome.kind !== "replayed" && outcome.kind !== "request-id-reused";
}

/**
 * SESSION_NOT_FOUND, SESSION_KEY_TAKEN, CURSOR_AHEAD, HISTORY_TRIMMED, LIMIT_EXCEEDED, or FIELD_INVALID when `at_seq` lies
 * inside an event.
 */
function refusal(refused: ForkRefusal, { sessionId, key, atSeq }: ForkSessionRequest): Error {
  switch (refused.kind) {
    case "session-not-found":
      return sessionNotFound({ sessionId });
    case "key-taken":
      return failure(ErrorReason.SESSION_KEY_TAKEN, `the key ${key} belongs to session ${refused.sessionId}`, {
        metadata: { session_id: refused.sessionId, key },
      });
    case "seq-ahead":
    case "seq-trimmed": {
      const { logId, oldestSeq, headSeq } = refused;
      const metadata = { log_id: logId, oldest_seq: String(oldestSeq), head_seq: String(headSeq) };
      const reason = refused.kind === "seq-ahead" ? ErrorReason.CURSOR_AHEAD : ErrorReason.HISTORY_TRIMMED;
      return failure(reason, `at_seq ${atSeq} must be from ${oldestSeq} to the head ${headSeq}`, { metadata });
    }
    case "seq-merged": {
      const { beforeSeq, afterSeq } = refused;
      const nearest = [beforeSeq, afterSeq].filter((seq) => seq > 0);
      const problem = `lies inside a merged event that can't be divided: take ${nearest.join(" or ")}`;
      return failure(ErrorReason.FIELD_INVALID, `at_seq ${atSeq} ${problem}`, {
        fields: [{ path: "at_seq", problem }],
        metadata: { before_seq: String(beforeSeq), after_seq: String(afterSeq) },
      });
    }
    case "log-too-large":
      return failure(
        ErrorReason.LIMIT_EXCEEDED,
        `the log has more than ${maxCopiedBytes} bytes up to there: fork at an earlier seq`,
        { metadata: { limit: String(maxCopiedBytes) } },
      );
  }
}
