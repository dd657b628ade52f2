/** Peers that take nothing: cut off as a whole, and what they hold is a sum (row 8 of the attacks). */
import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test, vi } from "vitest";
import { GetSnapshotRequestSchema } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { clientOver, say } from "../e2e/mesh-client.fixture.ts";
import { envelopeHead } from "../e2e/raw-calls.fixture.ts";
import { verifies } from "../requirements.ts";
import type { MeshProcess } from "../support/mesh-process.ts";
import { openSocket, type RawSocket, startTarget, watchMemory, watchOthers } from "./attack.fixture.ts";
import { frame, preface, requestHeaders } from "./attack-frames.ts";

vi.setConfig({ testTimeout: 180_000 });

const getSnapshot = "/atoll.session.v1.SessionService/GetSnapshot";
/** SETTINGS_INITIAL_WINDOW_SIZE of nothing: the answers may have headers, and no byte of a body. */
const zeroWindow = Buffer.from("000400000000", "hex");

/** More than this nothing may grow by. The attack made 1 GB of it. */
const maxGrowthBytes = 600_000_000;

/** A session whose log is one message of a megabyte. */
async function storeMegabyte(mesh: MeshProcess): Promise<string> {
  const client = clientOver(mesh.transport());
  const content = [{ block: { case: "text" as const, value: { text: "x".repeat(1_000_000) } } }];
  const { sessionId } = await say(client, "", { message: { content } });
  return sessionId;
}

/** Opens a connection with so many calls whose answers are not taken. */
async function openStalled(
  mesh: MeshProcess,
  sessionId: string,
  calls: number,
  protocol: "connect" | "grpc",
): Promise<RawSocket> {
  const raw = await openSocket(mesh);
  raw.socket.write(preface(zeroWindow));
  const message = Buffer.from(toBinary(GetSnapshotRequestSchema, create(GetSnapshotRequestSchema, { sessionId })));
  for (let at = 0; at < calls; at += 1) {
    const headers = requestHeaders(mesh, getSnapshot, {
      authorization: `Bearer ${mesh.token}`,
      "content-type": protocol === "grpc" ? "application/grpc" : "application/proto",
      "connect-protocol-version": "1",
    });
    const body = protocol === "grpc" ? Buffer.concat([envelopeHead(message.length), message]) : message;
    raw.socket.write(Buffer.concat([frame("headers", 4, at * 2 + 1, headers), frame("data", 1, at * 2 + 1, body)]));
  }
  // It answers PINGs, as any client that does not read does.
  let seen = 0;
  const answerPings = setInterval(() => {
    const text = raw.received();
    const ping = text.indexOf("\0\0\u0008\u0006\0\0\0\0\0", seen);
    if (ping < 0 || text.length < ping + 17) return;
    seen = ping + 17;
    raw.socket.write(frame("ping", 1, 0, Buffer.from(text.slice(ping + 9, ping + 17), "latin1")));
  }, 100);
  raw.socket.once("close", () => clearInterval(answerPings));
  return raw;
}

describe(`answers that nobody takes ${verifies("E8", "F4")}`, () => {
  test("990 of a megabyte over ten connections hold one bound, and a reader beside them is served", async () => {
    const mesh = await startTarget();
    const sessionId = await storeMegabyte(mesh);
    const growthOf = watchMemory(mesh.processOf("mesh").pid);
    const others = await watchOthers(mesh);
    const stalled = [];
    for (let at = 0; at < 10; at += 1)
      stalled.push(await openStalled(mesh, sessionId, 99, at % 2 === 0 ? "connect" : "grpc"));
    const reader = clientOver(mesh.transport());
    for (let at = 0; at < 20; at += 1) {
      const { events } = await reader.session.getSnapshot({ sessionId });
      expect(events.length).toBeGreaterThan(0);
    }
    await expect.poll(() => mesh.log(), { timeout: 60_000 }).toContain("unread bytes of a caller");
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const growth = growthOf();
    const waits = await others.stop();
    console.info(`990 unread answers of 1 MB: memory +${Math.round(growth / 1e6)} MB, others ${JSON.stringify(waits)}`);
    // 64 MiB wait at the most. The other buffers, at most 170 MB of them, are garbage that V8 has not taken yet, and about
    // as much again is what the C library keeps of those that it has taken.
    expect(growth).toBeLessThan(maxGrowthBytes);
    expect(waits.max).toBeLessThan(30_000);
    for (const { socket } of stalled) socket.destroy();
  });

  test.each(["connect", "grpc"] as const)(
    "%s: a peer that takes nothing of 50 answers is cut off as a whole",
    async (protocol) => {
      const config = JSON.stringify({ limits: { readerStallTimeoutMs: 2_000 } });
      const mesh = await startTarget({ config });
      const sessionId = await storeMegabyte(mesh);
      const raw = await openStalled(mesh, sessionId, 50, protocol);
      const startMs = performance.now();
      await raw.closed;
      console.info(`cut off as a whole after ${Math.round(performance.now() - startMs)} ms of a stall time of 2000`);
      await expect.poll(() => mesh.log()).toContain("the peer takes nothing");
      await clientOver(mesh.transport()).session.countSessions({});
    },
  );

  test("over HTTP/1.1, where each answer has a connection, the sum is the same", async () => {
    const mesh = await startTarget({ config: JSON.stringify({ limits: { maxConnectionsPerAddress: 400 } }) });
    const sessionId = await storeMegabyte(mesh);
    const growthOf = watchMemory(mesh.processOf("mesh").pid);
    const body = JSON.stringify({ sessionId });
    for (let at = 0; at < 200; at += 1) {
      const { socket } = await openSocket(mesh);
      socket.pause();
      socket.write(
        `POST ${getSnapshot} HTTP/1.1\r\nHost: ${new URL(mesh.url).host}\r\nAuthorization: Bearer ${mesh.token}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
    }
    const reader = clientOver(mesh.transport());
    await expect
      .poll(async () => (await reader.session.getSnapshot({ sessionId })).events.length, { timeout: 60_000 })
      .toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(growthOf()).toBeLessThan(maxGrowthBytes);
  });
});
