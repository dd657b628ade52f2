/** The model called through a mesh, as a client does: SendMessage, and a Chat stream that shows the answer. */

import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import type { ChatEvents, ChatRequest } from "../../../gen/atoll/gateway/v1/chat_pb.ts";
import { GatewayService } from "../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { reasonName } from "../../../services/kernel/errors.ts";
import { FrameQueue } from "../../../services/kernel/stream/frame-queue.ts";
import { startMeshProcess, type Topology } from "../../support/mesh-process.ts";
import { endWithBench } from "../end-in-time.ts";
import { pinProcess } from "../pin-cores.ts";
import { readCpuMs } from "../process-usage.ts";
import { prompt, type Talk, type TurnTimes, turnTimeoutMs, type Way } from "./turn-times.ts";

type Gateway = Client<typeof GatewayService>;
type Action = Pick<ChatRequest, "requestId" | "action">;

export interface MeshWay extends Way {
  readonly pids: readonly number[];
}

/** Starts a mesh whose model is at `modelUrl`. */
export async function openMeshWay(
  topology: Topology,
  modelUrl: string,
  env: Readonly<Record<string, string>> = {},
): Promise<MeshWay> {
  const mesh = await startMeshProcess({
    topology,
    env: { ...env, ANTHROPIC_API_KEY: "bench", ANTHROPIC_BASE_URL: modelUrl },
  });
  for (const { child } of mesh.processes) endWithBench(child);
  const pids = mesh.processes.map(({ pid }) => pid);
  for (const pid of pids) pinProcess(pid, "mesh");
  return {
    name: topology,
    pids,
    openTalk: () => openTalk(mesh.url, mesh.token),
    cpuMs: () => pids.reduce((sum, pid) => sum + readCpuMs(pid), 0),
    close: () => mesh.stop(),
  };
}

interface Turn {
  readonly startedMs: number;
  firstTextMs: number;
  textBytes: number;
  events: number;
  readonly ended: PromiseWithResolvers<TurnTimes>;
}

let ids = 0;
function newRequestId(): string {
  ids += 1;
  return `bench-${process.pid}-${ids}`;
}

/** A client with a connection, a session and a Chat stream of its own. */
async function openTalk(url: string, token: string): Promise<Talk> {
  const connection = new Http2SessionManager(url);
  const client: Gateway = createClient(
    GatewayService,
    createConnectTransport({
      baseUrl: url,
      httpVersion: "2",
      useBinaryFormat: true,
      sessionManager: connection,
      interceptors: [
        (next) => (request) => {
          request.header.set("authorization", `Bearer ${token}`);
          return next(request);
        },
      ],
    }),
  );
  const requests = new FrameQueue<Action>();
  const opened = Promise.withResolvers<string>();
  let turn: Turn | undefined;
  const listen = async (): Promise<void> => {
    for await (const { frame } of client.chat(requests)) {
      if (frame.case === "opened") opened.resolve(frame.value.sessionId);
      else if (frame.case === "error") throw new Error(`${reasonName(frame.value.reason)}: ${frame.value.message}`);
      else if (frame.case === "events" && turn !== undefined) hear(turn, frame.value);
    }
  };
  const stream = listen().catch((error: unknown) => {
    opened.reject(error);
    turn?.ended.reject(error);
  });
  const session = { case: "sessionKey" as const, value: newRequestId() };
  requests.offer(openAction(session));
  const sessionId = await opened.promise;
  return {
    async turn() {
      const current = startTurn();
      turn = current;
      const timer = setTimeout(() => current.ended.reject(new Error("a turn did not end")), turnTimeoutMs);
      try {
        const [times] = await Promise.all([current.ended.promise, send(client, sessionId)]);
        return times;
      } finally {
        clearTimeout(timer);
        turn = undefined;
      }
    },
    async close() {
      requests.end();
      connection.abort();
      await stream;
    },
  };
}

function openAction(session: { case: "sessionKey"; value: string }): Action {
  return {
    requestId: newRequestId(),
    action: { case: "open", value: { $typeName: "atoll.gateway.v1.ChatOpen", session, agentId: "" } },
  };
}

function startTurn(): Turn {
  const ended = Promise.withResolvers<TurnTimes>();
  return { startedMs: performance.now(), firstTextMs: Number.NaN, textBytes: 0, events: 0, ended };
}

async function send(client: Gateway, sessionId: string): Promise<void> {
  await client.sendMessage({
    requestId: newRequestId(),
    session: { case: "sessionId", value: sessionId },
    message: { content: [{ block: { case: "text", value: { text: prompt } } }] },
  });
}

function hear(turn: Turn, { events }: ChatEvents): void {
  for (const { body } of events) {
    turn.events += 1;
    if (body.case === "textDelta") {
      if (turn.textBytes === 0) turn.firstTextMs = performance.now() - turn.startedMs;
      turn.textBytes += Buffer.byteLength(body.value.text);
    } else if (body.case === "runFinished") {
      const { status, failure } = body.value;
      const { firstTextMs, textBytes, events: seen } = turn;
      if (status !== RunStatus.COMPLETED) turn.ended.reject(new Error(`a run failed: ${failure?.message}`));
      else turn.ended.resolve({ firstTextMs, totalMs: performance.now() - turn.startedMs, textBytes, events: seen });
    }
  }
}
