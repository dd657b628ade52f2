/**
 * Sends a message, creating the session when it must.
 *
 * Keeps R1 over both changes: the id of the session's creation is derived from the request's, so that the same request
 * finds the session that it made the first time.
 */
import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import type { CallOptions } from "@connectrpc/connect";
import type { MessageInput } from "../../gen/atoll/content/v1/message_pb.ts";
import type { QueueMode } from "../../gen/atoll/event/v1/run_events_pb.ts";
import {
  type SendMessageRequest,
  type SendMessageResponse,
  SendMessageResponseSchema,
} from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import type { RunOptions } from "../../gen/atoll/session/v1/run_pb.ts";
import type { SubmitMessageResponse } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { ErrorReason, failedWith, failure } from "../kernel/errors.ts";
import type { GatewayDeps } from "./gateway-deps.ts";

/** How SendMessage and Chat name a session. */
export type SessionChoice = SendMessageRequest["session"];

export async function sendMessage(
  deps: GatewayDeps,
  request: SendMessageRequest,
  call: CallOptions,
): Promise<SendMessageResponse> {
  const sessionId = await openSession(deps, request, call);
  const submitted = await submit(deps, { ...request, sessionId }, call);
  const { messageId, runId, seq, logId } = submitted;
  return create(SendMessageResponseSchema, { sessionId, messageId, runId, seq, logId });
}

export async function openSession(
  deps: GatewayDeps,
  request: { readonly requestId: string; readonly session: SessionChoice; readonly agentId: string },
  call: CallOptions,
): Promise<string> {
  if (request.session.case === "sessionId") return request.session.value;
  const requestId = `open-${createHash("sha256").update(request.requestId).digest("hex")}`;
  const key = request.session.case === "sessionKey" ? request.session.value : "";
  try {
    const { session } = await deps.session.createSession({ requestId, key, agentId: request.agentId }, call);
    return session?.sessionId ?? "";
  } catch (error) {
    throw failedWith(error, ErrorReason.REQUEST_ID_REUSED) ? idReused(request.requestId) : error;
  }
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
    readonly sessionId: string;
    readonly message?: MessageInput | undefined;
    readonly queueMode: QueueMode;
    readonly options?: RunOptions | undefined;
    readonly ifHeadSeq: bigint;
  },
  call: CallOptions,
): Promise<SubmitMessageResponse> {
  const { requestId, sessionId, queueMode, ifHeadSeq } = message;
  return deps.session.submitMessage(
    {
      requestId,
      sessionId,
      queueMode,
      ifHeadSeq,
      ...(message.message === undefined ? {} : { message: message.message }),
      ...(message.options === undefined ? {} : { options: message.options }),
    },
    call,
  );
}
