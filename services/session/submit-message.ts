/**
 * Accepts a message: dedupe, events and run row in one change.
 *
 * Keeps R1: the same request id with the same body is answered with the first answer and starts nothing.
 */
import { clone, create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { type MessageInput, type Origin, OriginSchema, Priority } from "../../gen/atoll/content/v1/message_pb.ts";
import { QueueMode } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { RunOptionsSchema } from "../../gen/atoll/session/v1/run_pb.ts";
import {
  type SubmitMessageRequest,
  SubmitMessageRequestSchema,
  type SubmitMessageResponse,
  SubmitMessageResponseSchema,
} from "../../gen/atoll/session/v1/session_service_pb.ts";
import { ErrorReason, failure } from "../kernel/errors.ts";
import { encodeEvent } from "../kernel/event/encode-event.ts";
import { newId } from "../kernel/id.ts";
import { scopeOf, traceIdOf } from "../kernel/rpc/call-context.ts";
import type { Scope } from "../kernel/store/scope.ts";
import type { RunRow, SubmitRefusal, Submitted } from "../kernel/store/session-store.ts";
import { refuseUnserved, requireOpened, sessionNotFound } from "./read-session.ts";
import { answerOf, requestOf } from "./request-digest.ts";
import type { SessionDeps } from "./session-deps.ts";

export interface SubmitEffects {
  /** A run waits. */
  readonly runQueued: () => void;
  /** A worker's run was asked to stop. */
  readonly cancelRequested: (run: RunRow) => void;
}

export async function submitMessage(
  deps: SessionDeps,
  effects: SubmitEffects,
  message: SubmitMessageRequest,
  context: HandlerContext,
): Promise<SubmitMessageResponse> {
  requireOpened(message.sessionId, context);
  const scope = scopeOf(context);
  const queueMode = message.queueMode || (await agentQueueMode(deps, scope, message.sessionId));
  refuseUnserved("queue_mode", queueMode === QueueMode.STEER || queueMode === QueueMode.COLLECT);
  const request = requestOf(
    SubmitMessageRequestSchema,
    message,
    "atoll.session.v1.SessionService/SubmitMessage",
    encodeAnswer,
  );
  const messageId = newId("msg", deps.clock);
  const runId = newId("run", deps.clock);
  const input = message.message;
  const priority = input?.priority || Priority.NORMAL;
  const traceId = input?.traceId || traceIdOf(context);
  const title = titleOf(input);
  const submitting = deps.store.submitMessage(scope, request, {
    sessionId: message.sessionId,
    messageId,
    runId,
    agentId: "",
    priority,
    options: message.options === undefined ? new Uint8Array() : toBinary(RunOptionsSchema, message.options),
    traceId,
    ifHeadSeq: Number(message.ifHeadSeq),
    rejectWhenBusy: queueMode === QueueMode.REJECT,
    interrupt: queueMode === QueueMode.INTERRUPT,
    maxQueuedRuns: deps.settings.maxQueuedRuns,
    title,
    events: ({ position, agentId, isTitled }) => [
      encodeEvent({
        body: {
          case: "messageReceived",
          value: {
            messageId,
            runId,
            traceId,
            priority,
            content: input?.content ?? [],
            metadata: input?.metadata ?? {},
            // Who sent it is what authentication proved, never what the client says.
            origin: provenOrigin(input?.origin, scope.principal),
            queueMode,
          },
        },
      }),
      ...(isTitled ? [encodeEvent({ body: { case: "sessionUpdated", value: { fields: ["title"], title } } })] : []),
      encodeEvent({ runId, body: { case: "runQueued", value: { messageIds: [messageId], agentId, position } } }),
    ],
  });
  // Asked for in the same tick, the claim shares the commit: the run is on its way when its message is durable.
  effects.runQueued();
  const outcome = await submitting;
  if (!isAnswered(outcome)) throw refusal(outcome, message);
  const answer = answerOf(outcome, request);
  if (outcome.kind === "done") {
    deps.bus.publish(outcome.outcome.appended);
    if (outcome.outcome.interrupted !== undefined) effects.cancelRequested(outcome.outcome.interrupted);
  }
  return fromBinary(SubmitMessageResponseSchema, answer);
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
async function agentQueueMode({ settings, store }: SessionDeps, scope: Scope, sessionId: string): Promise<QueueMode> {
  const modes = settings.queueModes;
  if ([...modes.values()].every((mode) => mode === QueueMode.FOLLOWUP)) return QueueMode.FOLLOWUP;
  const session = await store.getSession(scope, { sessionId });
  return modes.get(session?.agentId ?? "") ?? QueueMode.FOLLOWUP;
}

function encodeAnswer({ session, run, seq }: Submitted): Uint8Array {
  const response = create(SubmitMessageResponseSchema, {
    messageId: run.messageIds[0] ?? "",
    runId: run.runId,
    seq: BigInt(seq),
    logId: session.logId,
  });
  return toBinary(SubmitMessageResponseSchema, response);
}

function provenOrigin(stated: Origin | undefined, principal: string): Origin {
  const origin = stated === undefined ? create(OriginSchema) : clone(OriginSchema, stated);
  origin.principal = principal;
  return origin;
}

type Outcome = Awaited<ReturnType<SessionDeps["store"]["submitMessage"]>>;

function isAnswered(outcome: Outcome): outcome is Exclude<Outcome, SubmitRefusal> {
  return outcome.kind === "done" || outcome.kind === "replayed" || outcome.kind === "request-id-reused";
}

function refusal(refused: SubmitRefusal, message: SubmitMessageRequest): Error {
  const { sessionId } = message;
  switch (refused.kind) {
    case "session-not-found":
      return sessionNotFound({ sessionId });
    case "session-closed":
      return failure(ErrorReason.SESSION_CLOSED, `session ${sessionId} is closed: fork it or start another`, {
        metadata: { session_id: sessionId },
      });
    case "session-busy":
      return failure(
        ErrorReason.SESSION_BUSY,
        `run ${refused.runId} has not ended: wait for it, or queue the message`,
        {
          metadata: { run_id: refused.runId },
        },
      );
    case "queue-full":
      return failure(ErrorReason.QUEUE_FULL, `${refused.limit} runs wait already: wait for some to end`, {
        metadata: { limit: String(refused.limit) },
        retryAfterMs: 1_000,
      });
    case "head-moved":
      return failure(ErrorReason.HEAD_MOVED, `the head is ${refused.headSeq}: read what is new, then decide again`, {
        metadata: { head_seq: String(refused.headSeq) },
      });
  }
}
