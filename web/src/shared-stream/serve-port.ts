/**
 * The worker's side of one tab. Keeps L7: at most 32 responses are on their way to the tab, and a tab that gives no sign of
 * life for 90 s (closed without a word, or frozen) is let go; one that thaws subscribes again from its cursor.
 */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { ChatErrorSchema } from "../../../gen/atoll/gateway/v1/chat_pb.ts";
import {
  type SubscribeRequest,
  SubscribeRequestSchema,
  SubscribeResponseSchema,
} from "../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { toChatError } from "../../client/mesh-error.ts";
import type { SubscriptionPool } from "../../client/subscription-pool.ts";
import type { Port, ToTab, ToWorker } from "./port-messages.ts";

const maxOnTheWay = 32;
const askIntervalMs = 30_000;
const maxUnanswered = 3;

/** @param poolOf The pool of a mesh and a token. */
export function servePort(
  port: Port<ToTab, ToWorker>,
  poolOf: (baseUrl: string, token: string) => SubscriptionPool,
): void {
  const flows = new Map<number, Flow>();
  let unanswered = 0;
  let asking: ReturnType<typeof setInterval> | undefined;
  const letAllGo = (): void => {
    clearInterval(asking);
    asking = undefined;
    for (const flow of flows.values()) letGo(flow);
  };
  const ask = (): void => {
    unanswered += 1;
    if (unanswered > maxUnanswered || flows.size === 0) letAllGo();
    else port.postMessage({ kind: "ask" });
  };
  const subscribe = async (id: number, pool: SubscriptionPool, request: SubscribeRequest): Promise<void> => {
    const flow: Flow = { control: new AbortController(), onTheWay: 0, taken: Promise.withResolvers() };
    flows.set(id, flow);
    asking ??= setInterval(ask, askIntervalMs);
    const { signal } = flow.control;
    let error: Uint8Array | undefined;
    try {
      const onHeader = (): void => port.postMessage({ kind: "header", id });
      for await (const response of pool.subscribe(request, { signal, onHeader })) {
        port.postMessage({ kind: "response", id, bytes: toBinary(SubscribeResponseSchema, response) });
        flow.onTheWay += 1;
        while (flow.onTheWay >= maxOnTheWay && !signal.aborted) {
          flow.taken = Promise.withResolvers();
          await flow.taken.promise;
        }
      }
    } catch (thrown) {
      error = toBinary(ChatErrorSchema, toChatError(ConnectError.from(thrown)));
    } finally {
      flows.delete(id);
    }
    if (!signal.aborted) port.postMessage({ kind: "ended", id, error });
  };
  const noteTaken = (id: number): void => {
    const flow = flows.get(id);
    if (flow === undefined) return;
    flow.onTheWay -= 1;
    flow.taken.resolve();
  };
  port.addEventListener("message", ({ data }) => {
    unanswered = 0;
    switch (data.kind) {
      case "subscribe": {
        const { id, baseUrl, token, request } = data;
        void subscribe(id, poolOf(baseUrl, token), fromBinary(SubscribeRequestSchema, request));
        break;
      }
      case "took":
        noteTaken(data.id);
        break;
      case "leave":
        letGo(flows.get(data.id));
        break;
      case "alive":
        break;
      case "close":
        letAllGo();
        port.close();
        break;
    }
  });
  port.start();
}

function letGo(flow: Flow | undefined): void {
  flow?.control.abort();
  flow?.taken.resolve();
}

interface Flow {
  readonly control: AbortController;
  onTheWay: number;
  taken: PromiseWithResolvers<void>;
}
