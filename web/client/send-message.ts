/**
 * Sends a message once, however often the answer is lost. Keeps R1: every try carries the same request_id, so the same
 * message never runs twice. Keeps L7: at most 8 tries (13 s in all), 100 ms–10 s apart.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import type {
  GatewayService,
  SendMessageRequestSchema,
  SendMessageResponse,
} from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { backoffMs, waitFor } from "./backoff.ts";
import { isUnanswered } from "./judge-breakage.ts";
import { newRequestId } from "./new-request-id.ts";

const maxTries = 8;

export interface SendOptions {
  readonly client: Pick<Client<typeof GatewayService>, "sendMessage">;
  /** What is sent. `requestId` default: a fresh one; give your own to repeat a send across restarts. */
  readonly request: Exclude<MessageInitShape<typeof SendMessageRequestSchema>, { $typeName: string }>;
  /** Gives up. Default: never. */
  readonly signal?: AbortSignal;
  /** For backoff; from 0 to below 1. Default: Math.random. */
  readonly random?: () => number;
}

/**
 * Sends. Tries again only when there was no answer (UNAVAILABLE or a broken network). Throws the last ConnectError
 * after 8 tries, and any other at once.
 */
export async function sendMessage({ client, request, signal, random }: SendOptions): Promise<SendMessageResponse> {
  const repeatable = { ...request, requestId: request.requestId || newRequestId() };
  for (let tries = 1; ; tries++) {
    try {
      return await client.sendMessage(repeatable, { ...(signal && { signal }) });
    } catch (error) {
      if (tries === maxTries || signal?.aborted || !isUnanswered(error)) throw error;
    }
    await waitFor(backoffMs(tries, random), signal);
  }
}
