/** The tab's side of the worker that holds the browser's one stream: Subscribe, as a client of the gateway would have it. */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type CallOptions, Code, ConnectError } from "@connectrpc/connect";
import { ChatErrorSchema } from "../../../gen/atoll/gateway/v1/chat_pb.ts";
import {
  SubscribeRequestSchema,
  type SubscribeResponse,
  SubscribeResponseSchema,
} from "../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { toConnectError } from "../../client/mesh-error.ts";
import type { Port, ToTab, ToWorker } from "./port-messages.ts";

export type Subscribe = (
  request: MessageInitShape<typeof SubscribeRequestSchema>,
  options?: CallOptions,
) => AsyncIterable<SubscribeResponse>;

interface Reader {
  readonly messages: Exclude<ToTab, { kind: "ask" }>[];
  wake: () => void;
}

export function createSharedSubscribe(
  port: Port<ToWorker, ToTab>,
  { baseUrl, token }: { readonly baseUrl: string; readonly token: string },
): Subscribe {
  const readers = new Map<number, Reader>();
  let lastId = 0;
  port.addEventListener("message", ({ data }) => {
    if (data.kind === "ask") return port.postMessage({ kind: "alive" });
    const reader = readers.get(data.id);
    reader?.messages.push(data);
    reader?.wake();
  });
  port.start();
  return async function* subscribe(request, { signal, onHeader } = {}) {
    const id = ++lastId;
    const reader: Reader = { messages: [], wake: () => undefined };
    const onAbort = (): void => {
      port.postMessage({ kind: "leave", id });
      reader.wake();
    };
    const encoded = toBinary(SubscribeRequestSchema, create(SubscribeRequestSchema, request));
    readers.set(id, reader);
    signal?.addEventListener("abort", onAbort);
    port.postMessage({ kind: "subscribe", id, baseUrl, token, request: encoded });
    try {
      for (;;) {
        if (signal?.aborted) throw new ConnectError("let go", Code.Canceled);
        const message = reader.messages.shift();
        if (message === undefined) {
          await new Promise<void>((resolve) => {
            reader.wake = resolve;
          });
        } else if (message.kind === "header") onHeader?.(new Headers());
        else if (message.kind === "response") {
          port.postMessage({ kind: "took", id });
          yield fromBinary(SubscribeResponseSchema, message.bytes);
        } else if (message.error === undefined) return;
        else throw toConnectError(fromBinary(ChatErrorSchema, message.error));
      }
    } finally {
      readers.delete(id);
      signal?.removeEventListener("abort", onAbort);
      port.postMessage({ kind: "leave", id });
    }
  };
}
