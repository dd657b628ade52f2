/** SIGTERM under open calls: each is told UNAVAILABLE with DRAINING and when to try again, in every protocol. */
import { Code, ConnectError, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { GatewayService } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SessionService } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { failureFacts, reasonName } from "../../services/kernel/errors.ts";
import { guardSessions } from "../../services/kernel/rpc/hops/hop-sessions.ts";
import { verifies } from "../requirements.ts";
import { checkReasons } from "../support/check-reasons.ts";
import { type MeshProcess, startMeshProcess } from "../support/mesh-process.ts";
import { clientOver, say } from "./mesh-client.fixture.ts";

vi.setConfig({ testTimeout: 180_000 });

const config = JSON.stringify({
  mcpServers: { filesystem: { disabled: true } },
  // A run that is still at work when its mesh ends.
  models: { offline: { tokenDelayMs: 10_000 } },
  lifecycle: { drainTimeoutMs: 1_000 },
});

async function start(topology: "embedded" | "split"): Promise<MeshProcess> {
  const mesh = await startMeshProcess({ topology, config });
  onTestFinished(() => mesh.stop("SIGKILL"));
  return mesh;
}

function transports(url: string, token: string): Readonly<Record<string, Transport>> {
  const authorize: Interceptor = (next) => (call) => {
    call.header.set("authorization", `Bearer ${token}`);
    return next(call);
  };
  const options = { baseUrl: url, interceptors: [authorize] };
  const sessions = () => ({ sessionManager: guardSessions(new Http2SessionManager(url)) });
  return {
    Connect: checkReasons(createConnectTransport({ ...options, ...sessions(), httpVersion: "2" })),
    "Connect, HTTP/1.1": checkReasons(createConnectTransport({ ...options, httpVersion: "1.1" })),
    gRPC: checkReasons(createGrpcTransport({ ...options, ...sessions() })),
    "gRPC-Web": checkReasons(createGrpcWebTransport({ ...options, ...sessions(), httpVersion: "2" })),
    "gRPC-Web, HTTP/1.1": checkReasons(createGrpcWebTransport({ ...options, httpVersion: "1.1" })),
  };
}

/** How a call ended: with code, reason and whether it said when to try again. */
async function endOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "ended well";
  } catch (error) {
    const known = ConnectError.from(error);
    const { reason, retryAfterMs } = failureFacts(known);
    const name = reason === undefined ? known.message : reasonName(reason);
    return `${Code[known.code]} ${name}${retryAfterMs > 0 ? " with a time" : ""}`;
  }
}

interface OpenCall {
  readonly name: string;
  readonly end: Promise<string>;
}

/** Opens one of each kind over every transport; resolves when all of them are open. */
async function openCalls(
  url: string,
  mesh: MeshProcess,
  kinds: readonly ("subscribe" | "watch" | "wait")[],
): Promise<OpenCall[]> {
  const { sessionId, runId } = await say(clientOver(mesh.transport()), "hello");
  const calls: OpenCall[] = [];
  for (const [name, transport] of Object.entries(transports(url, mesh.token))) {
    const gateway = createClient(GatewayService, transport);
    const session = createClient(SessionService, transport);
    if (kinds.includes("subscribe")) {
      const events = gateway.subscribe({ sessionId })[Symbol.asyncIterator]();
      await events.next();
      calls.push({ name: `${name}: Subscribe`, end: endOf(readOn(events)) });
    }
    if (kinds.includes("watch") && !name.includes("1.1")) {
      const frames = session.watch(watchOf(sessionId))[Symbol.asyncIterator]();
      await frames.next();
      calls.push({ name: `${name}: Watch`, end: endOf(readOn(frames)) });
    }
    if (kinds.includes("wait")) {
      calls.push({
        name: `${name}: WaitRun`,
        end: endOf(session.waitRun({ runId, timeoutMs: 60_000 })),
      });
    }
  }
  // Unary calls don't say that they are open: one that was sent after them on each connection is answered after them.
  for (const transport of Object.values(transports(url, mesh.token))) {
    await createClient(SessionService, transport).getSession({ by: { case: "sessionId", value: sessionId } });
  }
  await new Promise((resolve) => setTimeout(resolve, 500));
  return calls;
}

async function readOn(answers: AsyncIterator<unknown>): Promise<void> {
  while ((await answers.next()).done !== true);
}

async function* watchOf(sessionId: string) {
  yield {
    frame: {
      case: "create" as const,
      value: { watchId: 1n, target: { case: "sessionId" as const, value: sessionId } },
    },
  };
  await new Promise((resolve) => setTimeout(resolve, 120_000).unref());
}

async function expectDraining(calls: readonly OpenCall[]): Promise<void> {
  const ends = await Promise.all(calls.map(async ({ name, end }) => `${name}: ${await end}`));
  expect(ends).toEqual(calls.map(({ name }) => `${name}: Unavailable DRAINING with a time`));
}

describe(`SIGTERM under open calls ${verifies("FL7")}`, () => {
  test("of a whole mesh in one process", async () => {
    const mesh = await start("embedded");
    const calls = await openCalls(mesh.url, mesh, ["subscribe", "watch", "wait"]);
    const code = mesh.processOf("mesh").end("SIGTERM");
    await expectDraining(calls);
    expect([0, 1]).toContain(await code);
    expect(mesh.log()).not.toContain("at async");
  });

  test("of a gateway, whose peers go on", async () => {
    const mesh = await start("split");
    const calls = await openCalls(mesh.url, mesh, ["subscribe", "watch", "wait"]);
    const code = mesh.processOf("gateway").end("SIGTERM");
    await expectDraining(calls);
    expect(await code).toBe(0);
  });

  test("of a session service: its own callers, and those whom a gateway calls it for", async () => {
    const mesh = await start("split");
    const service = mesh.processOf("session");
    const direct = await openCalls(service.url, mesh, ["watch", "wait"]);
    const proxied = await openCalls(mesh.url, mesh, ["watch", "wait"]);
    const subscribed = await openCalls(mesh.url, mesh, ["subscribe"]);
    const code = service.end("SIGTERM");
    await expectDraining([...direct, ...proxied]);
    await code;
    // Readers of a gateway wait for the service, and go on when it is back.
    await mesh.restart("session");
    const still = await Promise.race([
      ...subscribed.map(({ end }) => end),
      new Promise((resolve) => setTimeout(resolve, 1_000, "open")),
    ]);
    expect(still).toBe("open");
  });
});
