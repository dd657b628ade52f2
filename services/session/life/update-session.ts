/**
 * Changes the fields of a session that a mask names.
 *
 * Keeps R1. Keeps L7: what a session keeps is bounded. Keeps L9: a path that can't be changed is refused by name.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import type { Session } from "../../../gen/atoll/session/v1/session_pb.ts";
import {
  type UpdateSessionRequest,
  UpdateSessionRequestSchema,
  type UpdateSessionResponse,
  UpdateSessionResponseSchema,
} from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { encodeEvent } from "../../kernel/event/encode-event.ts";
import { scopeOf } from "../../kernel/rpc/call-context.ts";
import { answerOf, requestOf } from "../accepting/request-digest.ts";
import { requireOpened } from "../reading/read-session.ts";
import { toSession } from "../reading/session-message.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { SessionChanged, SessionFacts } from "../store/changes.ts";
import type { SessionRow } from "../store/rows.ts";
import { changeRefusal } from "./change-refusal.ts";
import { checkResetPolicy } from "./reset-policy.ts";
import { checkStructSize, encodeProfile, readProfile, type SessionProfile } from "./session-profile.ts";

const shortestIdleTimeoutMs = 1_000;
const longestIdleTimeoutMs = 366 * 86_400_000;

/** What a mask may name, as the message of the request has it. */
const profileFields = {
  reset_policy: "resetPolicy",
  preferences: "preferences",
  variables: "variables",
  task: "task",
} as const satisfies Record<string, keyof SessionProfile>;
const rowFields = ["title", "labels", "idle_timeout"];

export async function updateSession(
  deps: SessionDeps,
  message: UpdateSessionRequest,
  context: HandlerContext,
): Promise<UpdateSessionResponse> {
  const { sessionId, session, updateMask } = message;
  requireOpened(sessionId, context);
  const scope = scopeOf(context);
  const fields = [...new Set(checkMask(updateMask?.paths ?? []))];
  if (session !== undefined) checkValues(session, fields);
  const request = requestOf(
    UpdateSessionRequestSchema,
    message,
    "atoll.session.v1.SessionService/UpdateSession",
    (changed: SessionChanged) =>
      toBinary(
        UpdateSessionResponseSchema,
        create(UpdateSessionResponseSchema, { session: toSession(changed.session) }),
      ),
  );
  const outcome = await deps.store.changeSession(scope, request, {
    sessionId,
    ifHeadSeq: message.ifHeadSeq === undefined ? undefined : Number(message.ifHeadSeq),
    change: (row) => (session === undefined ? {} : newFacts(row, session, fields)),
    event: ({ title }) => {
      const value = { fields, changedBy: scope.principal, ...(fields.includes("title") ? { title } : {}) };
      return encodeEvent({ body: { case: "sessionUpdated", value } });
    },
  });
  if (outcome.kind !== "done" && outcome.kind !== "replayed" && outcome.kind !== "request-id-reused")
    throw changeRefusal(outcome, sessionId);
  const answer = answerOf(outcome, request);
  if (outcome.kind === "done") deps.bus.publish(outcome.outcome.appended);
  return fromBinary(UpdateSessionResponseSchema, answer);
}

/** Errors: FIELD_INVALID for a mask that names nothing, or what can't be changed. */
/** The most that the edge lets in. */
const maxMaskPaths = 64;

function checkMask(paths: readonly string[]): readonly string[] {
  const known = [...rowFields, ...Object.keys(profileFields)];
  const expected = `one of ${known.join(", ")}`;
  const wrong = paths
    .slice(0, maxMaskPaths)
    .flatMap((path, index) =>
      known.includes(path)
        ? []
        : [{ path: `update_mask.paths[${index}]`, problem: `${path} can't be changed: ${expected}` }],
    );
  const [first] = paths.length === 0 ? [{ path: "update_mask.paths", problem: `must name ${expected}` }] : wrong;
  if (first === undefined) return paths;
  throw failure(ErrorReason.FIELD_INVALID, `${first.path}: ${first.problem}`, {
    fields: wrong.length === 0 ? [first] : wrong,
  });
}

function checkValues(session: Session, fields: readonly string[]): void {
  if (fields.includes("reset_policy")) checkResetPolicy(session.resetPolicy, "session.reset_policy");
  if (fields.includes("preferences")) checkStructSize(session.preferences, "session.preferences");
  if (fields.includes("variables")) checkStructSize(session.variables, "session.variables");
  if (fields.includes("idle_timeout")) checkIdleTimeout(session.idleTimeout);
}

function checkIdleTimeout(timeout: Duration | undefined): void {
  if (timeout === undefined) return;
  const timeoutMs = durationMs(timeout);
  if (timeoutMs >= shortestIdleTimeoutMs && timeoutMs <= longestIdleTimeoutMs) return;
  const path = "session.idle_timeout";
  const problem = "must be from 1 s to 366 days, or unset for the mesh's own";
  throw failure(ErrorReason.FIELD_INVALID, `${path} ${problem}`, { fields: [{ path, problem }] });
}

/** The fields of the mask, from the request; a field that the request leaves out is unset. */
function newFacts(row: SessionRow, session: Session, fields: readonly string[]): SessionFacts {
  const profile: { -readonly [Name in keyof SessionProfile]: Session[Name] } = readProfile(row.profile);
  for (const [path, name] of Object.entries(profileFields)) {
    if (fields.includes(path)) Object.assign(profile, { [name]: session[name] });
  }
  return {
    profile: encodeProfile(profile),
    ...(fields.includes("title") ? { title: session.title } : {}),
    ...(fields.includes("labels") ? { labels: session.labels } : {}),
    ...(fields.includes("idle_timeout")
      ? { idleTimeoutMs: session.idleTimeout === undefined ? 0 : Math.round(durationMs(session.idleTimeout)) }
      : {}),
  };
}
