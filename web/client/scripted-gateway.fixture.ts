/** A gateway on a real socket whose Subscribe and SendMessage answers are scripted, call by call. */
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { fromJson, type JsonValue, type MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { createConnectTransport } from "@connectrpc/connect-web";
import { type Event, EventSchema } from "../../gen/atoll/event/v1/event_pb.ts";
import {
  GatewayService,
  type SendMessageRequest,
  type SendMessageResponseSchema,
  type SubscribeRequest,
  type SubscribeResponseSchema,
  type SubscribeSessionsRequest,
  type SubscribeSessionsResponseSchema,
} from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";

export type SubscribeScript = (
  request: SubscribeRequest,
  call: { readonly context: HandlerContext; readonly cutConnection: () => Promise<never> },
) => AsyncIterable<MessageInitShape<typeof SubscribeResponseSchema>>;

export type SessionsScript = (
  request: SubscribeSessionsRequest,
  call: { readonly context: HandlerContext; readonly cutConnection: () => Promise<never> },
) => AsyncIterable<MessageInitShape<typeof SubscribeSessionsResponseSchema>>;

export type SendScript = (
  request: SendMessageRequest,
  cutConnection: () => Promise<never>,
) => Promise<MessageInitShape<typeof SendMessageResponseSchema>>;

export interface ScriptedGateway {
  readonly client: Client<typeof GatewayService>;
  readonly subscribes: readonly SubscribeRequest[];
  readonly sessions: readonly SubscribeSessionsRequest[];
  readonly sends: readonly SendMessageRequest[];
  readonly close: () => void;
}

/** Each call takes the next script; the last one stays. */
export async function startScriptedGateway(scripts: {
  readonly subscribe?: readonly SubscribeScript[];
  readonly sessions?: readonly SessionsScript[];
  readonly send?: readonly SendScript[];
}): Promise<ScriptedGateway> {
  const subscribes: SubscribeRequest[] = [];
  const sessions: SubscribeSessionsRequest[] = [];
  const sends: SendMessageRequest[] = [];
  const sockets = new Set<Socket>();
  const cutConnection = async (): Promise<never> => {
    // What was yielded before goes out first; the rest of the response never does.
    await new Promise((resolve) => setImmediate(resolve));
    for (const socket of sockets) socket.destroySoon();
    throw new ConnectError("cut");
  };
  const next = <Script>(list: readonly Script[] | undefined, calls: number): Script => {
    const script = list?.[Math.min(calls, list.length) - 1];
    if (script === undefined) throw new ConnectError("no script", Code.Unimplemented);
    return script;
  };
  const server = createServer(
    connectNodeAdapter({
      routes: (router) => {
        router.service(GatewayService, {
          async *subscribe(request, context) {
            subscribes.push(request);
            yield* next(scripts.subscribe, subscribes.length)(request, { context, cutConnection });
          },
          async *subscribeSessions(request, context) {
            sessions.push(request);
            yield* next(scripts.sessions, sessions.length)(request, { context, cutConnection });
          },
          sendMessage(request) {
            sends.push(request);
            return next(scripts.send, sends.length)(request, cutConnection);
          },
        });
      },
    }),
  );
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const transport = createConnectTransport({ baseUrl: `http://127.0.0.1:${port}`, useBinaryFormat: true });
  return {
    client: createClient(GatewayService, transport),
    subscribes,
    sessions,
    sends,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

export function eventOf(json: JsonValue): Event {
  return fromJson(EventSchema, json);
}

/** The error that a mesh makes for a reason; `retryAfterMs` when it says that a retry makes sense. */
export function meshError(code: Code, reason: string, retryAfterMs?: number): ConnectError {
  const error = new ConnectError(reason, code);
  error.details.push({ desc: ErrorInfoSchema, value: { reason, domain: "atoll" } });
  if (retryAfterMs !== undefined) {
    const seconds = Math.floor(retryAfterMs / 1_000);
    const retryDelay = { seconds: BigInt(seconds), nanos: (retryAfterMs - seconds * 1_000) * 1e6 };
    error.details.push({ desc: RetryInfoSchema, value: { retryDelay } });
  }
  return error;
}
