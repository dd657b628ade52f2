/**
 * Accepts a message: dedupe, events and run row in one change.
 *
 * Keeps R1: the same request id with the same body is answered with the first answer and starts nothing.
 */

import { clone, create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { type MessageInput, type Origin, OriginSchema, Priority } from "../../../gen/atoll/content/v1/message_pb.ts";
import { SessionState } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import { QueueMode } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { SteerCommandSchema } from "../../../gen/atoll/session/v1/attach_pb.ts";
import { RunOptionsSchema } from "../../../gen/atoll/session/v1/run_pb.ts";
import {
  type SubmitMessageRequest,
  SubmitMessageRequestSchema,
  type SubmitMessageResponse,
  SubmitMessageResponseSchema,
} from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { encodeEvent } from "../../kernel/event/encode-event.ts";
import { maxEventBytes } from "../../kernel/event/event-bounds.ts";
import { newId } from "../../kernel/id.ts";
import { scopeOf, traceIdOf } from "../../kernel/rpc/call-context.ts";
import type { Scope } from "../../kernel/store/scope.ts";
import { changeRefusal } from "../life/change-refusal.ts";
import { isResetDue } from "../life/reset-policy.ts";
import { encodeProfile, readProfile } from "../life/session-profile.ts";
import { zoneOffset } from "../life/zone-offset.ts";
import { requireOpened } from "../reading/read-session.ts";
import { wishToCancel } from "../runs/cancel-wish.ts";
import type { SessionDeps } from "../session-deps.ts";
import type {
  Commanded,
  MessageContext,
  MessageEntry,
  NewSession,
  SubmitRefusal,
  Submitted,
} from "../store/changes.ts";
import { checkExtensions } from "./check-extensions.ts";
import { answerOf, requestOf } from "./request-digest.ts";
import { keyInvalid, routeKey } from "./route-key.ts";

export interface SubmitEffects {
  /** A run waits. */
  readonly runQueued: () => void;
  /** Holders of runs are to be told something. */
  readonly commanded: (commanded: readonly Commanded[]) => void;
}

export async function submitMessage(
  deps: SessionDeps,
  effects: SubmitEffects,
  message: SubmitMessageRequest,
  context: HandlerContext,
): Promise<SubmitMessageResponse> {
  requireOpened(message.sessionId, context);
  const to = recipientOf(deps, message);
  checkExtensions(message.message?.content ?? [], "message.content");
  const scope = scopeOf(context);
  const queueMode = message.queueMode || (await agentQueueMode(deps, scope, to));
  const request = requestOf(
    SubmitMessageRequestSchema,
    message,
    "atoll.session.v1.SessionService/SubmitMessage",
    encodeAnswer,
  );
  requireReadable(request.bytes);
  const messageId = newId("msg", deps.clock);
  const runId = newId("run", deps.clock);
  const input = message.message;
  const priority = input?.priority || Priority.NORMAL;
  const traceId = input?.traceId || traceIdOf(context);
  const title = titleOf(input);
  const submitting = deps.store.submitMessage(scope, request, {
    to,
    messageId,
    runId,
    agentId: "",
    priority,
    options: message.options === undefined ? new Uint8Array() : toBinary(RunOptionsSchema, message.options),
    traceId,
    ifHeadSeq: message.ifHeadSeq === undefined ? undefined : Number(message.ifHeadSeq),
    entry: entryOf(queueMode, messageId, input, scope.principal),
    maxQueuedRuns: deps.settings.maxQueuedRuns,
    title,
    isResetDue: (session, nowMs) =>
      session.profile.length > 0 &&
      isResetDue(readProfile(session.profile).resetPolicy, session, nowMs, zoneOffset(deps.settings.timeZone)),
    events: ({ runId: answeredBy, entered, position, agentId, ...sessionContext }) => [
      encodeEvent({
        body: {
          case: "messageReceived",
          value: {
            messageId,
            runId: answeredBy,
            traceId,
            priority,
            content: input?.content ?? [],
            metadata: input?.metadata ?? {},
            // Who sent it is what authentication proved, never what the client says.
            origin: provenOrigin(input?.origin, scope.principal),
            queueMode: queueMode === QueueMode.STEER && entered === "queued" ? QueueMode.FOLLOWUP : queueMode,
          },
        },
      }),
      ...sessionUpdates(sessionContext, title, scope.principal),
      ...(entered === "queued"
        ? [encodeEvent({ runId, body: { case: "runQueued", value: { messageIds: [messageId], agentId, position } } })]
        : []),
    ],
  });
  // Asked for in the same tick, the claim shares the commit: the run is on its way when its message is durable.
  effects.runQueued();
  const outcome = await submitting;
  if (!isAnswered(outcome)) throw refusal(outcome, message);
  const answer = answerOf(outcome, request);
  if (outcome.kind === "done") {
    deps.bus.publish(outcome.outcome.appended);
    effects.commanded(outcome.outcome.commanded);
    for (const ended of outcome.outcome.ended) deps.bus.publish(ended);
  }
  return fromBinary(SubmitMessageResponseSchema, answer);
}

/** What the event of a message has beside what was sent: ids, times, who sent it. */
const addedEventBytes = 4_096;

/** Errors: MESSAGE_TOO_LARGE. A log that took it could not be read any more by clients with default limits. */
function requireReadable(bytes: number): void {
  const limit = maxEventBytes - addedEventBytes;
  if (bytes <= limit) return;
  throw failure(ErrorReason.MESSAGE_TOO_LARGE, `the message is larger than ${limit} bytes: send less, or a blob`, {
    metadata: { limit_bytes: String(limit) },
  });
}

/** The session's id, or what its first message makes. Errors: FIELD_INVALID. */
function recipientOf(deps: SessionDeps, { sessionId, sessionKey, agentId }: SubmitMessageRequest): string | NewSession {
  if (sessionId !== "") {
    if (sessionKey === "") return sessionId;
    throw keyInvalid("session_key", "stands beside a session_id: name the session by one of them");
  }
  const routed = routeKey(deps.settings, sessionKey, agentId, "session_key");
  return {
    ...{ ...routed, sessionId: newId("ses", deps.clock), logId: newId("log", deps.clock) },
    ...{ title: "", labels: {}, parentSessionId: "", profile: encodeProfile({}) },
  };
}

const maxTitleCharacters = 60;

/** The first words of a message, as a title for people. */
function titleOf(input: MessageInput | undefined): string {
  const text = input?.content.map(({ block }) => (block.case === "text" ? block.value.text : "")).join(" ") ?? "";
  const words = text.replace(/[\s\p{Cc}\p{Cf}]+/gu, " ").trim();
  const characters = Array.from(words.slice(0, 4 * maxTitleCharacters));
  return characters.length <= maxTitleCharacters
    ? words
    : `${characters
        .slice(0, maxTitleCharacters - 1)
        .join("")
        .trimEnd()}…`;
}

/** The agent's own mode; only asked of the store when an agent has one. */
async function agentQueueMode(
  { settings, store }: SessionDeps,
  scope: Scope,
  to: string | NewSession,
): Promise<QueueMode> {
  const { agents } = settings;
  if ([...agents.values()].every(({ queueMode }) => queueMode === QueueMode.FOLLOWUP)) return QueueMode.FOLLOWUP;
  const session = await store.getSession(scope, typeof to === "string" ? { sessionId: to } : { key: to.key });
  const agentId = session?.agentId ?? (typeof to === "string" ? "" : to.agentId);
  return agents.get(agentId)?.queueMode ?? QueueMode.FOLLOWUP;
}

/**
 * What a message changes of its session beside its log: what its sender caused, and behind it what the mesh decided. An event
 * names one who changed something, so the two are two.
 */
function sessionUpdates(
  { isTitled, resetFloorSeq, wakes }: Pick<MessageContext, "isTitled" | "resetFloorSeq" | "wakes">,
  title: string,
  sender: string,
): Uint8Array[] {
  const caused = [
    ...(isTitled ? [{ fields: ["title"], title }] : []),
    ...(wakes ? [{ fields: ["state"], state: SessionState.ACTIVE }] : []),
  ];
  const fields = caused.flatMap((change) => change.fields);
  const reset = { fields: ["context_floor_seq"], contextFloorSeq: BigInt(resetFloorSeq), changedBy: "mesh" };
  return [
    ...(caused.length > 0 ? [{ ...Object.assign({}, ...caused), fields, changedBy: sender }] : []),
    ...(resetFloorSeq > 0 ? [reset] : []),
  ].map((value) => encodeEvent({ body: { case: "sessionUpdated", value } }));
}

function encodeAnswer({ session, messageId, run, seq }: Submitted): Uint8Array {
  const response = create(SubmitMessageResponseSchema, {
    messageId,
    runId: run.runId,
    seq: BigInt(seq),
    logId: session.logId,
    sessionId: session.sessionId,
  });
  return toBinary(SubmitMessageResponseSchema, response);
}

function entryOf(
  queueMode: QueueMode,
  messageId: string,
  message: MessageInput | undefined,
  principal: string,
): MessageEntry {
  switch (queueMode) {
    case QueueMode.STEER: {
      const command = create(SteerCommandSchema, { messageId, ...(message === undefined ? {} : { message }) });
      return { kind: "steer", command: toBinary(SteerCommandSchema, command) };
    }
    case QueueMode.COLLECT:
      return { kind: "collect" };
    case QueueMode.INTERRUPT:
      return { kind: "interrupt", wish: wishToCancel(principal, "interrupted by a newer message") };
    case QueueMode.REJECT:
      return { kind: "reject" };
    default:
      return { kind: "followup" };
  }
}

/** What a client says of itself, under the mesh's own word: who it is, and that nothing of it was seen by a connector of ours. */
function provenOrigin(stated: Origin | undefined, principal: string): Origin {
  const origin = stated === undefined ? create(OriginSchema) : clone(OriginSchema, stated);
  return Object.assign(origin, { principal, verified: false, linkId: "" });
}

type Outcome = Awaited<ReturnType<SessionDeps["store"]["submitMessage"]>>;

function isAnswered(outcome: Outcome): outcome is Exclude<Outcome, SubmitRefusal> {
  return outcome.kind === "done" || outcome.kind === "replayed" || outcome.kind === "request-id-reused";
}

function refusal(refused: SubmitRefusal, message: SubmitMessageRequest): Error {
  const { sessionId } = message;
  switch (refused.kind) {
    case "session-not-found":
    case "session-closed":
    case "head-moved":
      return changeRefusal(refused, sessionId);
    case "session-busy":
      return failure(
        ErrorReason.SESSION_BUSY,
        `run ${refused.runId} has not ended: wait for it, or queue the message`,
        {
          metadata: { run_id: refused.runId },
        },
      );
    case "queue-full":
      return failure(ErrorReason.QUEUE_FULL, `${refused.limit} wait already: wait for some to be answered`, {
        metadata: { limit: String(refused.limit) },
        retryAfterMs: 1_000,
      });
  }
}
