// What the tests of the network edge share: a real mesh edge on a free port, and a raw socket that records.
import { once } from "node:events";
import { type AddressInfo, connect, type Socket } from "node:net";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { onTestFinished } from "vitest";
import { Health } from "../../../../gen/grpc/health/v1/health_pb.ts";
import { createHealthService } from "../discovery/health.ts";
import { createHealthBoard, type HealthBoard, wholeProcess } from "../discovery/health-board.ts";
import { reflectionServices, registerReflection } from "../discovery/reflection.ts";
import { type Listener, type ListenerOptions, listen } from "../listener/listener.ts";
import type { ListenerFault } from "../listener/listener-faults.ts";
import { defaultListenerLimits, type ListenerLimits } from "../listener/listener-limits.ts";
import { clientStreamingPaths } from "./client-streaming-paths.ts";

export interface Edge {
  readonly listener: Listener;
  readonly board: HealthBoard;
  readonly faults: ListenerFault[];
}

/** A listener that serves health and reflection; closed at once when the test ends. */
export async function openEdge(
  limits: Partial<ListenerLimits> = {},
  options: Partial<Pick<ListenerOptions, "tls" | "onRequest">> = {},
): Promise<Edge> {
  const board = createHealthBoard();
  board.set(wholeProcess, "serving");
  const faults: ListenerFault[] = [];
  const listener = await listen({
    host: "127.0.0.1",
    port: 0,
    limits: { ...defaultListenerLimits, ...limits },
    isClientStreaming: clientStreamingPaths([Health, ...reflectionServices]),
    onRequest: connectNodeAdapter({
      routes: (router) => {
        router.service(Health, createHealthService(board));
        registerReflection(router, [Health]);
      },
    }),
    onFault: (fault) => faults.push(fault),
    ...options,
  });
  onTestFinished(() => listener.close(0));
  return { listener, board, faults };
}

export interface RawPeer {
  readonly socket: Socket;
  /** All that was received so far, one character a byte. */
  received(): string;
  /** Resolves when the other side has closed. */
  readonly closed: Promise<void>;
}

/** A TCP connection with nothing said on it yet. */
export async function openRawPeer({ listener }: Pick<Edge, "listener">): Promise<RawPeer> {
  const socket = connect({ host: "127.0.0.1", port: listener.port, allowHalfOpen: false });
  let received = "";
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
  });
  // A reset is one of the ways in which the edge closes.
  socket.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  return { socket, received: () => received, closed };
}

/** The port that a server listens on. */
export function portOf(server: { address(): AddressInfo | string | null }): number {
  return (server.address() as AddressInfo).port;
}

/** Kinds of the faults so far, each once, in order. */
export function kindsOf(faults: readonly ListenerFault[]): string[] {
  return [...new Set(faults.map(({ kind }) => kind))];
}
