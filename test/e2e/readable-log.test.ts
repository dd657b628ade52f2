/** What is accepted can be read: the largest messages that a mesh takes, read by clients whose limit is gRPC's default. */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { Interceptor, Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { MessageInputSchema } from "../../gen/atoll/content/v1/message_pb.ts";
import { SendMessageRequestSchema } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SubmitMessageRequestSchema } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { clientMessageBytes, maxEventBytes } from "../../services/kernel/event/event-bounds.ts";
import { pythonClient } from "../interop/python-client.ts";
import { generatePythonStubs } from "../interop/python-stubs.ts";
import { verifies } from "../requirements.ts";
import { checkReasons } from "../support/check-reasons.ts";
import { type MeshProcess, startMeshProcess, transportTo } from "../support/mesh-process.ts";
import { clientOver, expectDense, inSession, type MeshClient, refusalOf, say } from "./mesh-client.fixture.ts";

vi.setConfig({ testTimeout: 120_000 });

type Message = Extract<MessageInitShape<typeof MessageInputSchema>, { $typeName?: never }>;

let mesh: MeshProcess;
let stubs: string;
beforeAll(async () => {
  mesh = await startMeshProcess({ config: JSON.stringify({ mcpServers: { filesystem: { disabled: true } } }) });
  stubs = mkdtempSync(join(tmpdir(), "atoll-python-"));
  await generatePythonStubs(stubs);
}, 120_000);
afterAll(async () => {
  await mesh.stop();
  rmSync(stubs, { recursive: true, force: true });
});

/** The largest part of a message of each kind, and how its last part grows by one byte. */
const kinds: Readonly<Record<string, (bytes: number) => Message>> = {
  text: (bytes) => ({ content: parts(bytes, 1_000_000, (text) => ({ block: { case: "text", value: { text } } })) }),
  "text whose JSON is six times as long": (bytes) => ({
    content: parts(bytes, 1_000_000, (text) => ({
      block: { case: "text", value: { text: text.replaceAll("x", "\u0001") } },
    })),
  }),
  pictures: (bytes) => ({
    content: parts(bytes, 250_000, (text) => ({
      block: {
        case: "image",
        value: { media: { source: { case: "inline", value: Buffer.from(text) }, mediaType: "image/png" } },
      },
    })),
  }),
  "transcripts of sounds": (bytes) => ({
    content: parts(bytes, 1_000_000, (transcript) => ({ block: { case: "audio", value: { transcript } } })),
  }),
};

function parts<T>(bytes: number, each: number, part: (text: string) => T): T[] {
  const made: T[] = [];
  for (let left = bytes; left > 0; left -= each) made.push(part("x".repeat(Math.min(each, left))));
  return made;
}

/** The message of a kind whose request has exactly so many bytes. */
function filled(kind: (bytes: number) => Message, bytesOf: (message: Message) => number, bytes: number): Message {
  let content = bytes - 1_000;
  for (;;) {
    const message = kind(content);
    const missing = bytes - bytesOf(message);
    if (missing === 0) return message;
    content += missing;
  }
}

const sendBytes = (message: Message): number =>
  toBinary(SendMessageRequestSchema, create(SendMessageRequestSchema, { requestId: "exactly-4-mib", message })).length;
const submitBytes = (sessionId: string) => (message: Message) =>
  toBinary(SubmitMessageRequestSchema, create(SubmitMessageRequestSchema, { sessionId, message })).length;

const authorize: Interceptor = (next) => (call) => {
  call.header.set("authorization", `Bearer ${mesh.token}`);
  return next(call);
};

function readers(): Readonly<Record<string, Transport>> {
  const options = { baseUrl: mesh.url, interceptors: [authorize], readMaxBytes: clientMessageBytes };
  return {
    gRPC: checkReasons(createGrpcTransport(options)),
    "gRPC-Web": checkReasons(createGrpcWebTransport({ ...options, httpVersion: "2" })),
    Connect: checkReasons(createConnectTransport({ ...options, httpVersion: "2", useBinaryFormat: true })),
    // No client of JSON has a bound by default.
    "Connect with JSON": checkReasons(
      createConnectTransport({ baseUrl: mesh.url, interceptors: [authorize], httpVersion: "1.1" }),
    ),
  };
}

async function readByEveryRpc({ gateway, session }: MeshClient, sessionId: string, runId: string): Promise<void> {
  const listed = [];
  for (let pageToken = ""; ; ) {
    const page = await session.listEvents({ sessionId, pageToken });
    listed.push(...page.events);
    pageToken = page.nextPageToken;
    if (pageToken === "") break;
  }
  expectDense(listed);
  for (let pageToken = ""; ; ) {
    const page = await session.getSnapshot({ sessionId, pageToken });
    pageToken = page.nextPageToken;
    if (pageToken === "") break;
  }
  const subscribed = [];
  for await (const { events } of gateway.subscribe({ sessionId, untilRunId: runId })) subscribed.push(...events);
  expectDense(subscribed);
  await session.getSession({ by: { case: "sessionId", value: sessionId } });
}

describe(`a message at the bound ${verifies("FE4")}`, () => {
  test.each(Object.entries(kinds))(
    "%s: exactly 4 MiB is refused with the bound, and the log stays as it was",
    async (_name, kind) => {
      const client = clientOver(transportTo(mesh.url, mesh.token));
      const { sessionId } = await say(client, "hello");
      const message = filled(kind, sendBytes, clientMessageBytes);
      const refusal = await refusalOf(client.gateway.sendMessage({ requestId: "exactly-4-mib", message }));
      expect(refusal).toMatchObject({ reason: "MESSAGE_TOO_LARGE", code: "ResourceExhausted" });
      expect(Number(refusal.metadata["limit_bytes"])).toBeLessThan(maxEventBytes);
      await say(client, "still there", { session: inSession(sessionId).session });
    },
  );

  test.each(Object.entries(kinds))(
    "%s: the largest that is taken is read by every client, by every RPC",
    async (name, kind) => {
      const client = clientOver(transportTo(mesh.url, mesh.token));
      const { sessionId } = await say(client, "hello");
      const limit = Number(
        (
          await refusalOf(
            client.gateway.sendMessage({ requestId: "r", message: filled(kind, sendBytes, clientMessageBytes) }),
          )
        ).metadata["limit_bytes"],
      );
      const message = filled(kind, submitBytes(sessionId), limit);
      const over = filled(kind, submitBytes(sessionId), limit + 1);
      expect(
        await refusalOf(client.session.submitMessage({ requestId: `over-${randomUUID()}`, sessionId, message: over })),
      ).toMatchObject({ reason: "MESSAGE_TOO_LARGE" });
      const { runId } = await client.session.submitMessage({ requestId: randomUUID(), sessionId, message });
      for (const [reader, transport] of Object.entries(readers())) {
        await expect(readByEveryRpc(clientOver(transport), sessionId, runId), reader).resolves.toBeUndefined();
      }
      // A real client of another language, with nothing configured; it prints JSON, so that one kind is enough.
      if (name !== "text") return;
      const python = await pythonClient(stubs)(mesh).subscribe({ sessionId, untilRunId: runId });
      expect(python.length).toBeGreaterThan(0);
    },
  );

  test("a watch over gRPC, live, takes it as well", async () => {
    const client = clientOver(transportTo(mesh.url, mesh.token));
    const { sessionId } = await say(client, "hello");
    const kind = kinds["text"];
    if (kind === undefined) throw new Error("no such kind");
    const message = filled(kind, submitBytes(sessionId), maxEventBytes - 8_192);
    const watching = createClientOf(readers()["gRPC"]);
    const requests = (async function* () {
      yield {
        frame: {
          case: "create" as const,
          value: { watchId: 1n, target: { case: "sessionId" as const, value: sessionId } },
        },
      };
      await new Promise((resolve) => setTimeout(resolve, 60_000).unref());
    })();
    let sent: Promise<unknown> | undefined;
    for await (const { frame } of watching.watch(requests)) {
      sent ??= client.session.submitMessage({ requestId: "live", sessionId, message });
      if (frame.case === "cancelled") throw new Error(frame.value.message);
      if (frame.case !== "batch") continue;
      const size = frame.value.events.reduce(
        (bytes, { body }) => bytes + (body.case === "messageReceived" ? body.value.content.length : 0),
        0,
      );
      if (size >= 4) break;
    }
    await sent;
  });
});

function createClientOf(transport: Transport | undefined): MeshClient["session"] {
  if (transport === undefined) throw new Error("no such reader");
  return clientOver(transport).session;
}
