/** What is malformed, too large, unknown or forbidden: each gets a clear typed error, and the mesh lives on and loses nothing. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request as http1Request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { type DescMessage, toBinary, type MessageInitShape, create } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFailed, test } from "vitest";
import { Scope } from "../../gen/atoll/auth/v1/options_pb.ts";
import { ErrorReason } from "../../gen/atoll/error/v1/error_reason_pb.ts";
import { QueueMode, RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import { SendMessageRequestSchema } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { Health, HealthCheckResponse_ServingStatus } from "../../gen/grpc/health/v1/health_pb.ts";
import { openMeshSecrets } from "../../services/kernel/auth/mesh-secrets.ts";
import { localTenant, type Principal } from "../../services/kernel/auth/principal.ts";
import { createSignedTokens } from "../../services/kernel/auth/signed-tokens.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { verifies } from "../requirements.ts";
import { type FakeAnthropic, startFakeAnthropic } from "../support/fake-anthropic/start-fake-anthropic.ts";
import { type MeshProcess, runCommand, startMeshProcess, transportTo } from "../support/mesh-process.ts";
import {
  bytesOf,
  clientOver,
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
import { answerAsAsked } from "./scripted-model.fixture.ts";

const sendMethod = "atoll.gateway.v1.GatewayService/SendMessage";
const subscribeMethod = "atoll.gateway.v1.GatewayService/Subscribe";
const chatMethod = "atoll.gateway.v1.GatewayService/Chat";
const nowhere = "ses_00000000000000000000000000";
const mebibyte = 1_048_576;

describe("a running mesh", () => {
  let fake: FakeAnthropic;
  let mesh: MeshProcess;
  let client: MeshClient;
  /** One connection for all that needs no token: an address may have 50. */
  let open: Transport;
  let sessionId: string;
  let before: readonly string[];

  beforeAll(async () => {
    fake = await startFakeAnthropic({ script: answerAsAsked });
    mesh = await startMeshProcess({
      env: { ANTHROPIC_API_KEY: "test", ANTHROPIC_BASE_URL: fake.url },
      config: JSON.stringify({ mcpServers: { filesystem: {}, broken: { command: "nope-there-is-no-such-program" } } }),
    });
    client = clientOver(mesh.transport());
    open = mesh.anonymousTransport();
    const sent = await say(client, "hello");
    ({ sessionId } = sent);
    before = bytesOf(await readUntilEnd(client, sent));
  });

  afterAll(async () => {
    await mesh?.stop();
    await fake?.close();
  });

  beforeEach(() => {
    onTestFailed(() => {
      process.stderr.write(`${mesh.log()}\n`);
    });
  });

  /** Whatever a test did: the same process, serving, with everything that it had. */
  afterEach(async () => {
    const { child } = mesh.processOf("mesh");
    expect([child.exitCode, child.signalCode]).toEqual([null, null]);
    const { status } = await createClient(Health, open).check({});
    expect(status).toBe(HealthCheckResponse_ServingStatus.SERVING);
    expect(bytesOf(await readLog(client, sessionId))).toEqual(before);
  });

  const base = () => ({ url: mesh.url, token: mesh.token });
  const encode = <S extends DescMessage>(schema: S, init: MessageInitShape<S>) => toBinary(schema, create(schema, init));

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
        expect(await refusalOfRaw({ ...call, method })).toMatchObject({ code: "ResourceExhausted", reason: "MESSAGE_TOO_LARGE" });
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
      expect(await refusalOfRaw({ ...call, method: chatMethod, isStream: true })).toMatchObject({ reason: "MESSAGE_TOO_LARGE" });
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
    const content = [...textMessage("fine").content, { block: { case: "text" as const, value: { language: "x".repeat(65) } } }];
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
    expect(await refusalOf(read({ afterSeq: 1_000n }))).toMatchObject({ code: "OutOfRange", reason: "CURSOR_AHEAD", metadata: facts });
    expect(await refusalOf(read({ logId: "log_of_another_day" }))).toMatchObject({
      code: "OutOfRange",
      reason: "LOG_REPLACED",
      metadata: facts,
    });
  });

  describe("tools", () => {
    const invoke = (tool: string, args = {}) =>
      client.tools.invokeTool({ call: { callId: randomUUID(), tool, arguments: args } });

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
      expect(ends).toMatchObject([{ outcome: ToolOutcome.REFUSED, reason: ErrorReason.TOOL_ARGUMENTS_INVALID }]);
      expect(JSON.stringify(ends[0]?.content)).toContain("path");
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
    const requestId = randomUUID();
    const notServed = { code: "Unimplemented", reason: "METHOD_NOT_SERVED" };
    expect(await refusalOf(client.session.forkSession({ requestId, sessionId }))).toMatchObject({
      ...notServed,
      metadata: { method: "atoll.session.v1.SessionService/ForkSession" },
    });
    expect(await refusalOf(client.session.deleteSession({ requestId, sessionId }))).toMatchObject(notServed);
    expect(await refusalOf(client.admin.listKeys({}))).toMatchObject(notServed);
    expect(await refusalOf(say(client, "hi", { ...inSession(sessionId), queueMode: QueueMode.STEER }))).toMatchObject(notServed);
    const unknown = { ...base(), protocol: "connect" as const, method: "atoll.gateway.v1.GatewayService/Levitate" };
    expect((await callRaw({ ...unknown, message: new Uint8Array() })).status).toBe(404);
  });

  describe("tokens", () => {
    const sessionsOf = (token: string | undefined) => clientOver(transportTo(mesh.url, token)).session.listSessions({});

    test(`no token, a wrong one and a forged one get the same answer ${verifies("L6")}`, async () => {
      const key = openMeshSecrets(mesh.dataDir).signingKey;
      const forger = createSignedTokens(Uint8Array.from(key, (byte) => byte ^ 1), systemClock);
      const forged = await forger.sign("hop", principal({ scopes: new Set([Scope.ADMIN]) }));
      const unsigned = `${btoa('{"alg":"none"}')}.${btoa('{"sub":"user:local"}')}.x`.replaceAll("=", "");
      const answers = [];
      for (const token of [undefined, "wrong", `${mesh.token}x`, forged, unsigned]) answers.push(await refusalOf(sessionsOf(token)));
      for (const answer of answers) {
        expect(answer).toEqual(answers[0]);
        expect(answer).toMatchObject({ code: "Unauthenticated", reason: "TOKEN_INVALID", metadata: {} });
      }
      const message = Buffer.alloc(3 * mebibyte);
      const call = { url: mesh.url, protocol: "connect" as const, method: sendMethod, message };
      expect(await refusalOfRaw(call)).toMatchObject({ code: "Unauthenticated", reason: "TOKEN_INVALID" });
    });

    test(`a run's token opens its own session and nothing else ${verifies("L6")}`, async () => {
      const tokens = createSignedTokens(openMeshSecrets(mesh.dataDir).signingKey, systemClock);
      const scopes = new Set([Scope.SESSIONS_READ, Scope.TOOLS_CALL]);
      const token = await tokens.sign("run", principal({ scopes, run: { sessionId, runId: "run_0" } }));
      const run = clientOver(transportTo(mesh.url, token));
      expect(bytesOf((await run.session.listEvents({ sessionId })).events)).toEqual(before);
      const other = await say(client, "another session");
      await readUntilEnd(client, other);
      expect(await refusalOf(run.session.listEvents({ sessionId: other.sessionId }))).toMatchObject({
        code: "NotFound",
        reason: "SESSION_NOT_FOUND",
      });
      expect(await refusalOf(say(run, "hi", inSession(sessionId)))).toMatchObject({
        code: "PermissionDenied",
        reason: "SCOPE_MISSING",
        metadata: { scope: "SESSIONS_WRITE" },
      });
      expect((await run.session.listSessions({})).sessions.map((each) => each.sessionId)).toEqual([sessionId]);
    });

    test(`nobody but a worker attaches, not even the owner ${verifies("L6")}`, async () => {
      async function* requests() {
        yield { frame: { case: "hello" as const, value: { workerId: "wrk_intruder", credits: 100 } } };
      }
      const attach = async () => {
        for await (const _ of client.session.attach(requests())) expect.fail("an intruder was welcomed");
      };
      expect(await refusalOf(attach())).toMatchObject({ code: "PermissionDenied", reason: "SCOPE_MISSING", metadata: { scope: "WORKER" } });
    });

    test(`a one-time link works once, and its token only from the page's own origin ${verifies("L6")}`, async () => {
      const { url } = await client.admin.createLink({});
      const code = new URL(url).hash.slice("#code=".length);
      const visitor = clientOver(open);
      const origin = { headers: { origin: mesh.url } };
      const { token } = await visitor.admin.redeemLink({ code }, origin);
      const invalid = { code: "PermissionDenied", reason: "LINK_INVALID" };
      expect(await refusalOf(visitor.admin.redeemLink({ code }, origin))).toMatchObject(invalid);
      expect(await refusalOf(visitor.admin.redeemLink({ code: "a".repeat(32) }, origin))).toMatchObject(invalid);
      const page = clientOver(transportTo(mesh.url, token));
      expect((await page.session.listSessions({}, origin)).sessions.length).toBeGreaterThan(0);
      expect(await refusalOf(page.session.listSessions({}))).toMatchObject({ code: "Unauthenticated", reason: "TOKEN_INVALID" });
    });

    test(`a token in the address is not looked at ${verifies("L6")}`, async () => {
      const method = `${sendMethod}?token=${mesh.token}&access_token=${mesh.token}`;
      const message = encode(SendMessageRequestSchema, { requestId: randomUUID(), message: textMessage("hi") });
      const call = { url: mesh.url, protocol: "connect" as const, method, message };
      expect(await refusalOfRaw(call)).toMatchObject({ code: "Unauthenticated" });
    });
  });

  describe("hosts and origins", () => {
    const send = (headers: Record<string, string>) => ({
      ...base(),
      protocol: "connect" as const,
      method: sendMethod,
      message: encode(SendMessageRequestSchema, { requestId: randomUUID(), message: textMessage("hi") }),
      headers,
    });

    test(`a host that is not ours is answered 421, over HTTP/2 and HTTP/1.1 ${verifies("L6")}`, async () => {
      expect((await callRaw(send({ ":authority": "evil.example:80" }))).status).toBe(421);
      expect(await http1Status(mesh.url, { host: "evil.example" })).toBe(421);
      expect(await http1Status(mesh.url, {})).not.toBe(421);
    });

    test.each([
      ["a page of another origin", { origin: "https://evil.example" }],
      ["a page without origin", { origin: "null" }],
      ["a page of another site", { "sec-fetch-site": "cross-site" }],
      ["another port of this machine", { origin: "http://127.0.0.1:1", "sec-fetch-site": "same-site" }],
    ])(`%s is answered 403 before its token counts ${verifies("L6")}`, async (_, headers) => {
      const { sessions } = await client.session.listSessions({});
      expect((await callRaw(send(headers))).status).toBe(403);
      expect((await client.session.listSessions({})).sessions.length).toBe(sessions.length);
    });
  });

  function principal(more: Partial<Principal>): Principal {
    return { tenant: localTenant, name: "user:local", scopes: new Set(), origin: undefined, run: undefined, ...more };
  }
});

describe("a mesh that can't start says why and what to do", () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "atoll-bad-start-"));
    return () => rmSync(folder, { recursive: true, force: true });
  });

  const up = ["up", "--listen", "127.0.0.1:0"];

  test(`a port that is in use: exit code 1 and the port ${verifies("L9")}`, async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const { code, errors } = await runCommand(["up", "--listen", `127.0.0.1:${port}`], folder);
    server.close();
    expect(code).toBe(1);
    expect(errors).toMatch(new RegExp(`Port ${port} on 127\\.0\\.0\\.1 is already in use.*ATOLL_LISTEN or --listen`));
    expect(errors).not.toMatch(/\n\s+at /);
  });

  test(`a data folder that is used by another mesh: exit code 1, and the first one works on ${verifies("L9", "S4")}`, async () => {
    const mesh = await startMeshProcess({ folder, config: JSON.stringify({ mcpServers: { filesystem: { disabled: true } } }) });
    try {
      const client = clientOver(mesh.transport());
      const { code, errors } = await runCommand(up, folder);
      expect(code).toBe(1);
      expect(errors).toMatch(/session\.db|another|in use/i);
      expect(errors).not.toMatch(/\n\s+at /);
      const sent = await say(client, "hello");
      expect(endsOf(await readUntilEnd(client, sent), sent.runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
      expect(readFileSync(join(mesh.dataDir, "address"), "utf8").trim()).toBe(mesh.url);
    } finally {
      await mesh.stop();
    }
  });

  // Who may do everything (root) may write in every folder: a file where the folder should be stands for all of them.
  test(`a data folder that can't be one: exit code 1 and the folder ${verifies("L9")}`, async () => {
    const data = join(folder, "data");
    writeFileSync(data, "");
    const { code, errors } = await runCommand([...up, "--data", data], folder);
    expect(code).toBe(1);
    expect(errors).toContain(data);
    expect(errors).toMatch(/--data or ATOLL_DATA/);
    expect(errors).not.toMatch(/\n\s+at /);
  });

  test(`a data folder that can't be written: exit code 1 and the folder ${verifies("L9")}`, async () => {
    // Where nobody may write, not even who may do everything else.
    const data = process.platform === "linux" ? "/sys/atoll" : "/atoll";
    const { code, errors } = await runCommand([...up, "--data", data], folder);
    expect(code).toBe(1);
    expect(errors).toContain(data);
    expect(errors).not.toMatch(/\n\s+at /);
  });

  test(`a data folder that others can enter: exit code 1 and how to close it ${verifies("L9")}`, async () => {
    const data = join(folder, "data");
    mkdirSync(data, { mode: 0o755 });
    writeFileSync(join(data, "something"), "");
    const { code, errors } = await runCommand([...up, "--data", data], folder);
    expect(code).toBe(1);
    expect(errors).toContain(`chmod 700 '${data}'`);
  });

  test(`a damaged store: exit code 1 and the file, which is left as it is ${verifies("L9", "S4")}`, async () => {
    const data = join(folder, ".atoll");
    mkdirSync(data, { mode: 0o700 });
    const damaged = "this is no database, ".repeat(1_000);
    writeFileSync(join(data, "session.db"), damaged);
    const { code, errors } = await runCommand(up, folder);
    expect(code).toBe(1);
    expect(errors).toMatch(/session\.db/);
    expect(errors).not.toMatch(/\n\s+at /);
    expect(readFileSync(join(data, "session.db"), "utf8")).toBe(damaged);
  });

  test(`a broken configuration: exit code 2 and every problem with its path ${verifies("L9")}`, async () => {
    const file = join(folder, "atoll.yaml");
    writeFileSync(file, 'listen: "127.0.0.1:99999"\nruns:\n  leaseTtlMs: soon\nmcpServers:\n  files:\n    comand: x\n');
    const { code, errors } = await runCommand(up.slice(0, 1), folder);
    expect(code).toBe(2);
    expect(errors).toMatch(/atoll\.yaml:1\S*: listen: /);
    expect(errors).toMatch(/atoll\.yaml:3\S*: runs\.leaseTtlMs: found .*soon/);
    expect(errors).toMatch(/mcpServers\.files\.comand: .*did you mean `command`/i);
    expect(errors).not.toMatch(/\n\s+at /);
    const { code: codeOfNone, errors: errorsOfNone } = await runCommand(["up", "--config", "not-there.yaml"], folder);
    expect(codeOfNone).toBe(2);
    expect(errorsOfNone).toMatch(/not-there\.yaml/);
  });

  test(`a service without its peers, and a service that there is not ${verifies("L9")}`, async () => {
    const missing = await runCommand(["serve", "--services=gateway", "--listen", "127.0.0.1:0"], folder);
    expect(missing.code).toBe(1);
    expect(missing.errors).toMatch(/the session service .*--session, ATOLL_SESSION_URL/);
    const unknown = await runCommand(["serve", "--services=teapot"], folder);
    expect(unknown.code).toBe(2);
    expect(unknown.errors).toMatch(/no such service: teapot/);
  });
});

/** The most memory that a process ever had, in KiB. */
function peakMemoryKb(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

/** The status of a POST over HTTP/1.1 without a token. */
async function http1Status(url: string, headers: Record<string, string>): Promise<number | undefined> {
  const request = http1Request(`${url}/${sendMethod}`, { method: "POST", headers, agent: false });
  request.end();
  const [response] = (await once(request, "response")) as [{ statusCode?: number; resume(): void }];
  response.resume();
  return response.statusCode;
}
