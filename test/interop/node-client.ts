/** Connect for Node as a client: every protocol, codec and HTTP version that it speaks. */
import { create, type DescMessage, fromJson, type JsonObject, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { ChatRequestSchema, ChatResponseSchema } from "../../gen/atoll/gateway/v1/chat_pb.ts";
import {
  GatewayService,
  SendMessageRequestSchema,
  SendMessageResponseSchema,
  SubscribeRequestSchema,
  SubscribeResponseSchema,
} from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { BadRequestSchema, ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { checkReasons } from "../support/check-reasons.ts";
import { type CreateClient, RefusedError } from "./interop-client.ts";
import { createJsonQueue } from "./json-queue.ts";

export interface NodeClientOptions {
  readonly protocol: "connect" | "grpc" | "grpcweb";
  readonly codec: "binary" | "json";
  readonly http: "1.1" | "2";
}

/** gRPC needs HTTP/2. */
export const nodeClients: readonly NodeClientOptions[] = (["connect", "grpc", "grpcweb"] as const).flatMap((protocol) =>
  (["binary", "json"] as const).flatMap((codec) =>
    (["1.1", "2"] as const)
      .filter((http) => protocol !== "grpc" || http === "2")
      .map((http) => ({ protocol, codec, http })),
  ),
);

export function nodeClient(options: NodeClientOptions): CreateClient {
  return (mesh, token = mesh.token) => {
    const client = createClient(GatewayService, openTransport(options, mesh.url, token));
    return {
      name: `connect-node ${options.protocol} ${options.codec} h${options.http}`,
      sendMessage: (request) =>
        refusable(async () => {
          const response = await client.sendMessage(fromJson(SendMessageRequestSchema, request));
          return writeJson(SendMessageResponseSchema, response);
        }),
      subscribe: (request) =>
        refusable(async () => {
          const responses: JsonObject[] = [];
          for await (const response of client.subscribe(fromJson(SubscribeRequestSchema, request))) {
            responses.push(writeJson(SubscribeResponseSchema, response));
          }
          return responses;
        }),
      chat:
        options.http === "1.1"
          ? undefined
          : () => {
              const requests = createJsonQueue();
              const typed = (async function* () {
                for await (const request of requests.items) yield fromJson(ChatRequestSchema, request);
              })();
              const responses = client.chat(typed)[Symbol.asyncIterator]();
              return {
                write: requests.push,
                end: requests.end,
                responses: (async function* () {
                  for (;;) {
                    const next = await refusable(() => responses.next());
                    if (next.done === true) return;
                    yield writeJson(ChatResponseSchema, next.value);
                  }
                })(),
              };
            },
    };
  };
}

/** The gateway lets one address have 50 connections; tests make many clients, so each leaves soon after its last call. */
const idleConnectionTimeoutMs = 1_000;

export function openTransport({ protocol, codec, http }: NodeClientOptions, baseUrl: string, token: string): Transport {
  const authorize: Interceptor = (next) => (request) => {
    if (token !== "") request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  const shared = { baseUrl, useBinaryFormat: codec === "binary", interceptors: [authorize], idleConnectionTimeoutMs };
  switch (protocol) {
    case "connect":
      return checkReasons(createConnectTransport({ ...shared, httpVersion: http }));
    case "grpc":
      return checkReasons(createGrpcTransport(shared));
    case "grpcweb":
      return checkReasons(createGrpcWebTransport({ ...shared, httpVersion: http }));
  }
}

function writeJson<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): JsonObject {
  return toJson(schema, create(schema, message)) as JsonObject;
}

async function refusable<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    if (!(thrown instanceof ConnectError)) throw thrown;
    const info = thrown.findDetails(ErrorInfoSchema)[0];
    const refusal = {
      // Connect writes its codes in snake case, TypeScript in Pascal case.
      code: Code[thrown.code].replace(/(?<!^)[A-Z]/g, "_$&").toLowerCase(),
      reason: info?.reason ?? "",
      domain: info?.domain ?? "",
      metadata: info?.metadata ?? {},
      fieldPaths: thrown
        .findDetails(BadRequestSchema)
        .flatMap((detail) => detail.fieldViolations.map(({ field }) => field)),
    };
    throw new RefusedError(refusal, thrown.rawMessage);
  }
}
