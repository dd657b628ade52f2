/** What is malformed, too large or unknown: each gets a clear typed error, and the mesh lives on and loses nothing. */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ErrorReason } from "../../gen/atoll/error/v1/error_reason_pb.ts";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import { SendMessageRequestSchema } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { Health, HealthCheckResponse_ServingStatus } from "../../gen/grpc/health/v1/health_pb.ts";
import { verifies } from "../requirements.ts";
import type { MeshProcess } from "../support/mesh-process.ts";
import {
  bytesOf,
  endsOf,
  inSession,
  type MeshClient,
  readLog,
  readUntilEnd,
  refusalOf,
  say,
  textMessage,
} from "./mesh-client.fixture.ts";
import { callRaw, envelopeHead, protocols, refusalOfRaw } from "./raw-calls.fixture.ts";
import { type ScriptedMesh, showLogOnFailure, startScriptedMesh } from "./scripted-mesh.fixture.ts";

const sendMethod = "atoll.gateway.v1.GatewayService/SendMessage";
const subscribeMethod = "atoll.gateway.v1.GatewayService/Subscribe";
const chatMethod = "atoll.gateway.v1.GatewayService/Chat";
const nowhere = "ses_00000000000000000000000000";
const mebibyte = 1_048_576;

describe("a running mesh", () => {
  let scripted: ScriptedMesh;
  let mesh: MeshProcess;
  let client: MeshClient;
  /** One connection for all that needs no token: an address may have 50. */
  let open: Transport;
  let sessionId: string;
  let before: readonly string[];

  beforeAll(async () => {
    const mcpServers = { filesystem: {}, broken: { command: "nope-there-is-no-such-program" } };
    scripted = await startScriptedMesh({ config: JSON.stringify({ mcpServers }) });
    ({ mesh, client } = scripted);
    open = mesh.anonymousTransport();
    const sent = await say(client, "hello");
    ({ sessionId } = sent);
    before = bytesOf(await readUntilEnd(client, sent));
  });

  afterAll(async () => {
    await scripted?.stop();
  });

  beforeEach(() => showLogOnFailure(mesh));

  /** Whatever a test did: the same process, serving, with everything that it had. */
  afterEach(async () => {
    const { child } = mesh.processOf("mesh");
    expect([child.exitCode, child.signalCode]).toEqual([null, null]);
    const { status } = await createClient(Health, open).check({});
    expect(status).toBe(HealthCheckResponse_ServingStatus.SERVING);
    expect(bytesOf(await readLog(client, sessionId))).toEqual(before);
  });

  const base = () => ({ url: mesh.url, token: mesh.token });
  const encode = <S extends DescMessage>(schema: S, init: MessageInitShape<S>) =>
    toBinary(schema, create(schema, init));

  describe.each(protocols)("bytes that are no message, %s", (protocol) => {
    test.each([
      ["a field that ends too early", [0x0a, 0xff, 0x01]],
      ["a wire type that there is not", [0x0f]],
      ["text that is not UTF-8", [0x0a, 0x02, 0xff, 0xfe]],
      ["a varint without an end", Array.from({ length: 12 }, () => 0xff)],
      ["a nested message that ends too early", [0x22, 0x02, 0x0a, 0x7f]],
    ])(`%s: MALFORMED_MESSAGE for a unary call and for streams ${verifies("L6")}`, async (_, bytes) => {
      const message = Uint8Array.from(bytes);
      const malformed = { code: "InvalidArgument", reason: "MALFORMED_MESSAGE" };
      expect(await refusalOfRaw({ ...base(), method: sendMethod, protocol, message })).toMatchObject(malformed);
      const stream = { ...base(), protocol, message, isStream: true };
      expect(await refusalOfRaw({ ...stream, method: subscribeMethod })).toMatchObject(malformed);
      expect(await refusalOfRaw({ ...stream, method: chatMethod })).toMatchObject(malformed);
    });

    test(`five bytes that claim 2 GiB are refused at once, before anything is waited for ${verifies("L7")}`, async () => {
      const openBytes = envelopeHead(2 ** 31);
      const call = { ...base(), protocol, message: new Uint8Array(), openBytes, isStream: true };
      for (const method of [subscribeMethod, chatMethod]) {
        expect(await refusalOfRaw({ ...call, method })).toMatchObject({
          code: "ResourceExhausted",
          reason: "MESSAGE_TOO_LARGE",
        });
      }
    });

    test(`5 MiB are refused with the limit, and less is taken ${verifies("L7")}`, async () => {
      const text = (bytes: number) => ({ block: { case: "text" as const, value: { text: "x".repeat(bytes) } } });
      const message = (blocks: number) =>
        encode(SendMessageRequestSchema, {
          requestId: randomUUID(),
          message: { content: Array.from({ length: blocks }, () => text(mebibyte)) },
        });
      const refusal = await refusalOfRaw({ ...base(), protocol, method: sendMethod, message: message(5) });
      expect(refusal).toMatchObject({
        code: "ResourceExhausted",
        reason: "MESSAGE_TOO_LARGE",
        metadata: { limit_bytes: String(4 * mebibyte) },
      });
      const { status } = await callRaw({ ...base(), protocol, method: sendMethod, message: message(3) });
      expect(status).toBe(200);
    });

    test(`a compression bomb stops at the limit ${verifies("L7")}`, async () => {
      const highBefore = peakMemoryKb(mesh.processOf("mesh").pid);
      const bomb = gzipSync(Buffer.alloc(256 * mebibyte));
      const call = { ...base(), protocol, method: sendMethod, message: bomb, isZipped: true };
      expect(await refusalOfRaw(call)).toMatchObject({ code: "ResourceExhausted", reason: "MESSAGE_TOO_LARGE" });
      expect(await refusalOfRaw({ ...call, method: chatMethod, isStream: true })).toMatchObject({
        reason: "MESSAGE_TOO_LARGE",
      });
      expect(peakMemoryKb(mesh.processOf("mesh").pid) - highBefore).toBeLessThan(64 * 1024);
    });

    test(`an unknown JSON field is named ${verifies("L6")}`, async () => {
      const message = Buffer.from(JSON.stringify({ requestId: randomUUID(), massage: {} }));
      expect(await refusalOfRaw({ ...base(), protocol, method: sendMethod, message, codec: "json" })).toMatchObject({
        code: "InvalidArgument",
        reason: "MALFORMED_MESSAGE",
        fields: ["massage"],
      });
    });
  });

  test(`JSON that is none, and JSON of the wrong shape, are MALFORMED_MESSAGE ${verifies("L6")}`, async () => {
    const deep = `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`;
    for (const text of ["{", "[]", "null", '{"requestId": 7}', '{"__proto__": {"x": 1}}', deep]) {
      const call = { ...base(), protocol: "connect" as const, method: sendMethod, codec: "json" as const };
      const refusal = await refusalOfRaw({ ...call, message: Buffer.from(text) });
      expect(refusal, text.slice(0, 40)).toMatchObject({ code: "InvalidArgument", reason: "MALFORMED_MESSAGE" });
    }
  });

  test(`a content type that nobody speaks is answered 415 ${verifies("L6")}`, async () => {
    const headers = { "content-type": "text/plain" };
    const call = { ...base(), protocol: "connect" as const, method: sendMethod, message: Buffer.from("hi"), headers };
    expect((await callRaw(call)).status).toBe(415);
  });

  test(`a missing request_id is named, for every call that changes something ${verifies("R1", "L6")}`, async () => {
    const runId = "run_00000000000000000000000000";
    const message = textMessage("hi");
    const calls = [
      () => client.gateway.sendMessage({ message }),
      () => client.gateway.cancelRun({ runId }),
      () => client.session.createSession({}),
      () => client.session.submitMessage({ sessionId, message }),
      () => client.session.cancelRun({ runId }),
      () => client.session.forkSession({ sessionId }),
      () => client.session.deleteSession({ sessionId }),
    ];
    for (const call of calls) {
      expect(await refusalOf(call())).toMatchObject({
        code: "InvalidArgument",
        reason: "FIELD_INVALID",
        fields: ["request_id"],
        metadata: { field: "request_id" },
      });
    }
  });

  test.each(["../../etc/passwd", "%2e%2e", "a\u0000b", "x".repeat(300), "ses_\u202eabc", "' OR 1=1"])(
    `an id like %j is refused by its pattern ${verifies("L6")}`,
    async (id) => {
      const wrong = { code: "InvalidArgument", reason: "FIELD_INVALID" };
      expect(await refusalOf(say(client, "hi", inSession(id)))).toMatchObject({ ...wrong, fields: ["session_id"] });
      expect(await refusalOf(say(client, "hi", { requestId: id }))).toMatchObject({ ...wrong, fields: ["request_id"] });
    },
  );

  test(`the path of a field deep inside is given whole ${verifies("L6")}`, async () => {
    const content = [
      ...textMessage("fine").content,
      { block: { case: "text" as const, value: { language: "x".repeat(65) } } },
    ];
    const call = client.gateway.sendMessage({ requestId: randomUUID(), message: { content, traceId: "nonsense" } });
    const { fields } = await refusalOf(call);
    expect(fields).toEqual(expect.arrayContaining(["message.content[1].text.language", "message.trace_id"]));
  });

  test(`an unknown session is SESSION_NOT_FOUND, whatever is asked of it ${verifies("L6")}`, async () => {
    const read = async (events: AsyncIterable<unknown>) => {
      for await (const _ of events) expect.fail("there is nothing to read");
    };
    const calls = [
      () => say(client, "hi", inSession(nowhere)),
      () => client.session.submitMessage({ requestId: randomUUID(), sessionId: nowhere, message: textMessage("hi") }),
      () => client.session.getSession({ by: { case: "sessionId", value: nowhere } }),
      () => client.session.listEvents({ sessionId: nowhere }),
      () => client.session.getSnapshot({ sessionId: nowhere }),
      () => read(client.gateway.subscribe({ sessionId: nowhere })),
    ];
    for (const call of calls) {
      expect(await refusalOf(call())).toMatchObject({
        code: "NotFound",
        reason: "SESSION_NOT_FOUND",
        metadata: { session_id: nowhere },
      });
    }
    const runId = "run_00000000000000000000000000";
    const unknownRun = { code: "NotFound", reason: "RUN_NOT_FOUND", metadata: { run_id: runId } };
    expect(await refusalOf(client.gateway.waitRun({ runId }))).toMatchObject(unknownRun);
    expect(await refusalOf(client.gateway.cancelRun({ requestId: randomUUID(), runId }))).toMatchObject(unknownRun);
  });

  test(`a cursor ahead of the log, or of another one, is refused with oldest and head ${verifies("S2")}`, async () => {
    const read = async (request: { afterSeq?: bigint; logId?: string }) => {
      for await (const response of client.gateway.subscribe({ sessionId, ...request })) {
        if (response.events.length > 0) expect.fail("there is nothing to read");
      }
    };
    const facts = { oldest_seq: "1", head_seq: String(before.length) };
    expect(await refusalOf(read({ afterSeq: 1_000n }))).toMatchObject({
      code: "OutOfRange",
      reason: "CURSOR_AHEAD",
      metadata: facts,
    });
    expect(await refusalOf(read({ logId: "log_of_another_day" }))).toMatchObject({
      ...{ code: "OutOfRange", reason: "LOG_REPLACED", metadata: facts },
    });
  });

  describe("tools", () => {
    const invoke = (tool: string, args = {}) =>
      client.tools.invokeTool({
        call: { callId: randomUUID(), tool, argumentsJson: JSON.stringify(args), context: {} },
      });

    test(`a tool that does not exist is TOOL_NOT_FOUND, and a run goes on without it ${verifies("R2")}`, async () => {
      expect(await refusalOf(invoke("filesystem.levitate"))).toMatchObject({
        code: "NotFound",
        reason: "TOOL_NOT_FOUND",
        metadata: { tool: "filesystem.levitate" },
      });
      const sent = await say(client, "call filesystem.levitate {}");
      const events = await readUntilEnd(client, sent);
      const ends = events.flatMap(({ body }) => (body.case === "toolCallFinished" ? [body.value] : []));
      expect(ends).toMatchObject([{ outcome: ToolOutcome.REFUSED, reason: ErrorReason.TOOL_NOT_FOUND }]);
      expect(endsOf(events, sent.runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
    });

    test(`arguments that break the schema are named, and the model is told ${verifies("R2")}`, async () => {
      expect(await refusalOf(invoke("filesystem.read_text_file", { path: 7 }))).toMatchObject({
        code: "InvalidArgument",
        reason: "TOOL_ARGUMENTS_INVALID",
        fields: ["arguments.path"],
      });
      const sent = await say(client, 'call filesystem.read_text_file {"path":7}');
      const events = await readUntilEnd(client, sent);
      const ends = events.flatMap(({ body }) => (body.case === "toolCallFinished" ? [body.value] : []));
      const refused = { outcome: ToolOutcome.REFUSED, reason: ErrorReason.TOOL_ARGUMENTS_INVALID };
      expect(ends).toMatchObject([
        { ...refused, message: expect.stringContaining("path"), fieldPaths: ["arguments.path"] },
      ]);
      expect(endsOf(events, sent.runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
    });

    test(`an MCP server that does not start is named with its problem, and the others work ${verifies("L9")}`, async () => {
      const { servers } = await client.tools.listServers({});
      const broken = servers.find(({ name }) => name === "broken");
      expect(broken?.problem).toMatch(/nope-there-is-no-such-program/);
      expect(await refusalOf(invoke("broken.anything"))).toMatchObject({
        code: "Unavailable",
        reason: "SERVER_UNAVAILABLE",
        metadata: { server: "broken" },
      });
      const { result } = await invoke("filesystem.read_text_file", { path: "notes.md" });
      expect(result?.outcome).toBe(ToolOutcome.SUCCEEDED);
    });
  });

  test(`what this build does not serve is METHOD_NOT_SERVED by name ${verifies("L9")}`, async () => {
    const notServed = { code: "Unimplemented", reason: "METHOD_NOT_SERVED" };
    expect(await refusalOf(client.admin.listAuditEntries({}))).toMatchObject(notServed);
    expect(await refusalOf(client.admin.listKeys({}))).toMatchObject({
      ...notServed,
      metadata: { method: "atoll.admin.v1.AdminService/ListKeys" },
    });
    const unknown = { ...base(), protocol: "connect" as const, method: "atoll.gateway.v1.GatewayService/Levitate" };
    expect((await callRaw({ ...unknown, message: new Uint8Array() })).status).toBe(404);
  });
});

/** The most memory that a process ever had, in KiB. */
function peakMemoryKb(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}
