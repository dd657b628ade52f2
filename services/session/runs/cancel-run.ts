/** Asks a run to stop: a waiting one ends at once, a running one is told. Keeps R1, R2 and R5. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type CancelRunRequest,
  CancelRunRequestSchema,
  type CancelRunResponse,
  CancelRunResponseSchema,
} from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { boundSession } from "../../kernel/auth/principal.ts";
import { principalOf, scopeOf } from "../../kernel/rpc/call-context.ts";
import { answerOf, requestOf } from "../accepting/request-digest.ts";
import type { SubmitEffects } from "../accepting/submit-message.ts";
import { getRun, runNotFound } from "../reading/read-session.ts";
import { toRun } from "../reading/session-message.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { CancelOutcome } from "../store/changes.ts";
import { wishToCancel } from "./cancel-wish.ts";

export async function cancelRun(
  deps: SessionDeps,
  effects: SubmitEffects,
  message: CancelRunRequest,
  context: HandlerContext,
): Promise<CancelRunResponse> {
  // Of a bound token only its own: whose run it is stands in the row.
  if (boundSession(principalOf(context)) !== undefined) await getRun(deps, message, context);
  const scope = scopeOf(context);
  const request = requestOf(
    CancelRunRequestSchema,
    message,
    "atoll.session.v1.SessionService/CancelRun",
    ({ run }: CancelOutcome) => toBinary(CancelRunResponseSchema, create(CancelRunResponseSchema, { run: toRun(run) })),
  );
  const answered = await deps.store.cancelRun(scope, request, {
    runId: message.runId,
    ...wishToCancel(scope.principal, message.reason),
  });
  if (answered.kind === "run-not-found") throw runNotFound(message.runId);
  const answer = answerOf(answered, request);
  if (answered.kind === "done") {
    const { outcome } = answered;
    switch (outcome.kind) {
      case "finished-now":
        deps.bus.publish(outcome.appended);
        break;
      case "requested":
        effects.commanded(outcome.commanded);
        for (const ended of outcome.ended) deps.bus.publish(ended);
        break;
      case "already-finished":
        break;
    }
  }
  return fromBinary(CancelRunResponseSchema, answer);
}
