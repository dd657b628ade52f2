/**
 * Sends a message. A session that is not there yet is made with its first message, in one change (SubmitMessage).
 *
 * Keeps R1 where a session is opened without a message: the id of its creation is derived from the request's, so that the same
 * request finds the session that it made the first time.
 */
import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { type CallOptions, ConnectError } from "@connectrpc/connect";
import type { MessageInput } from "../../gen/atoll/content/v1/message_pb.ts";
import type { QueueMode } from "../../gen/atoll/event/v1/run_events_pb.ts";
import {
  type SendMessageRequest,
  type SendMessageResponse,
  SendMessageResponseSchema,
} from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import type { RunOptions } from "../../gen/atoll/session/v1/run_pb.ts";
import type { SubmitMessageResponse } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { ErrorReason, failedWith, failure, failureFacts } from "../kernel/errors.ts";
import type { GatewayDeps } from "./gateway-deps.ts";

/** How Chat names a session. */
export type SessionChoice = SendMessageRequest["session"];

export async function sendMessage(
  deps: GatewayDeps,
  request: SendMessageRequest,
  call: CallOptions,
): Promise<SendMessageResponse> {
  const { session } = request;
  const named = session.case === "sessionId" ? session.value : "";
  const sessionKey = session.case === "sessionKey" ? session.value : "";
  // The agent is one of a session that is made.
  const agentId = named === "" ? request.agentId : "";
  const submitted = await submit(deps, { ...request, sessionId: named, sessionKey, agentId }, call);
  const { messageId, runId, seq, logId } = submitted;
  // Answers that were stored by an earlier version do not name the session.
  const sessionId = submitted.sessionId || named || ((await deps.session.getRun({ runId }, call)).run?.sessionId ?? "");
  return create(SendMessageResponseSchema, { sessionId, messageId, runId, seq, logId });
}

export async function openSession(
  deps: GatewayDeps,
  request: {
    readonly requestId: string;
    readonly session: SessionChoice;
    readonly agentId: string;
    /** What stands before the names of these fields in the caller's message, for example `open.`. */
    readonly path: string;
  },
  call: CallOptions,
): Promise<string> {
  if (request.session.case === "sessionId") return request.session.value;
  const requestId = `open-${createHash("sha256").update(request.requestId).digest("hex")}`;
  const key = request.session.case === "sessionKey" ? request.session.value : "";
  try {
    const { session } = await deps.session.createSession({ requestId, key, agentId: request.agentId }, call);
    return session?.sessionId ?? "";
  } catch (error) {
    if (failedWith(error, ErrorReason.REQUEST_ID_REUSED)) throw idReused(request.requestId);
    throw failedWith(error, ErrorReason.FIELD_INVALID) ? inTheirWords(error, request.path) : error;
  }
}

/** The paths of CreateSession as the caller's own message has them. */
function inTheirWords(error: unknown, path: string): Error {
  const fields = failureFacts(ConnectError.from(error)).fields.map((field) => ({
    ...field,
    path: `${path}${field.path === "key" ? "session_key" : field.path}`,
  }));
  const message = fields.map((field) => `${field.path} ${field.problem}`).join("; ");
  return failure(ErrorReason.FIELD_INVALID, message, { fields });
}

/** In the caller's own words: the id of the session's creation is ours. */
function idReused(requestId: string): Error {
  return failure(
    ErrorReason.REQUEST_ID_REUSED,
    `request_id ${requestId} was used with another session: take a new one for a new request`,
    { metadata: { request_id: requestId, method: "atoll.gateway.v1.GatewayService/SendMessage" } },
  );
}

export function submit(
  deps: GatewayDeps,
  message: {
    readonly requestId: string;
    /** Empty for the one of the key. */
    readonly sessionId: string;
    readonly sessionKey?: string;
    readonly agentId?: string;
    readonly message?: MessageInput | undefined;
    readonly queueMode: QueueMode;
    readonly options?: RunOptions | undefined;
    readonly ifHeadSeq?: bigint | undefined;
  },
  call: CallOptions,
): Promise<SubmitMessageResponse> {
  const { requestId, sessionId, sessionKey = "", agentId = "", queueMode, ifHeadSeq } = message;
  return deps.session.submitMessage(
    {
      requestId,
      sessionId,
      queueMode,
      sessionKey,
      agentId,
      ...(ifHeadSeq === undefined ? {} : { ifHeadSeq }),
      ...(message.message === undefined ? {} : { message: message.message }),
      ...(message.options === undefined ? {} : { options: message.options }),
    },
    call,
  );
}
