/** Who may not: no token, a wrong one, the wrong scope, host or origin. Each is refused, and the mesh lives on and loses nothing. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { request as http1Request } from "node:http";
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Scope } from "../../gen/atoll/auth/v1/options_pb.ts";
import { SendMessageRequestSchema } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { Health, HealthCheckResponse_ServingStatus } from "../../gen/grpc/health/v1/health_pb.ts";
import { openMeshSecrets } from "../../services/kernel/auth/mesh-secrets.ts";
import { localTenant, type Principal } from "../../services/kernel/auth/principal.ts";
import { createSignedTokens } from "../../services/kernel/auth/signed-tokens.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { verifies } from "../requirements.ts";
import { type MeshProcess, transportTo } from "../support/mesh-process.ts";
import {
  bytesOf,
  clientOver,
  inSession,
  type MeshClient,
  readLog,
  readUntilEnd,
  refusalOf,
  say,
  textMessage,
} from "./mesh-client.fixture.ts";
import { callRaw, refusalOfRaw } from "./raw-calls.fixture.ts";
import { type ScriptedMesh, showLogOnFailure, startScriptedMesh } from "./scripted-mesh.fixture.ts";

const sendMethod = "atoll.gateway.v1.GatewayService/SendMessage";
const mebibyte = 1_048_576;

describe("access", () => {
  let scripted: ScriptedMesh;
  let mesh: MeshProcess;
  let client: MeshClient;
  /** One connection for all that needs no token: an address may have 50. */
  let open: Transport;
  let sessionId: string;
  let before: readonly string[];

  beforeAll(async () => {
    scripted = await startScriptedMesh({ config: JSON.stringify({ mcpServers: { filesystem: { disabled: true } } }) });
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

  describe("tokens", () => {
    const sessionsOf = (token: string | undefined) => clientOver(transportTo(mesh.url, token)).session.listSessions({});

    test(`no token, a wrong one and a forged one get the same answer ${verifies("L6")}`, async () => {
      const key = openMeshSecrets(mesh.dataDir).signingKey;
      const forger = createSignedTokens(
        Uint8Array.from(key, (byte) => byte ^ 1),
        systemClock,
      );
      const forged = await forger.sign("hop", principal({ scopes: new Set([Scope.ADMIN]) }));
      const unsigned = `${btoa('{"alg":"none"}')}.${btoa('{"sub":"user:local"}')}.x`.replaceAll("=", "");
      const answers = [];
      for (const token of [undefined, "wrong", `${mesh.token}x`, forged, unsigned])
        answers.push(await refusalOf(sessionsOf(token)));
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
      const { run: ended } = await client.session.getRun({ runId: (await say(client, "over")).runId });
      const grant = { sessionId, runId: "run_0", agentId: "main", epoch: 1 };
      const never = clientOver(transportTo(mesh.url, await tokens.sign("run", principal({ scopes, run: grant }))));
      expect(await refusalOf(never.session.listEvents({ sessionId }))).toMatchObject({ reason: "RUN_NOT_FOUND" });
      expect(ended?.runId).not.toBe("");
      expect(await refusalOf(say(never, "hi", inSession(sessionId)))).toMatchObject({
        code: "PermissionDenied",
        reason: "SCOPE_MISSING",
        metadata: { scope: "SESSIONS_WRITE" },
      });
    });

    test(`nobody but a worker attaches, not even the owner ${verifies("L6")}`, async () => {
      async function* requests() {
        yield { frame: { case: "hello" as const, value: { workerId: "wrk_intruder", credits: 100 } } };
      }
      const attach = async () => {
        for await (const _ of client.session.attach(requests())) expect.fail("an intruder was welcomed");
      };
      expect(await refusalOf(attach())).toMatchObject({
        code: "PermissionDenied",
        reason: "SCOPE_MISSING",
        metadata: { scope: "WORKER" },
      });
    });

    test(`a one-time link works once, and its token only from the page's own origin ${verifies("L6")}`, async () => {
      const { url } = await client.admin.createLink({ requestId: crypto.randomUUID() });
      const code = new URL(url).hash.slice("#code=".length);
      const visitor = clientOver(open);
      const origin = { headers: { origin: mesh.url } };
      const { token } = await visitor.admin.redeemLink({ code }, origin);
      const invalid = { code: "PermissionDenied", reason: "LINK_INVALID" };
      expect(await refusalOf(visitor.admin.redeemLink({ code }, origin))).toMatchObject(invalid);
      expect(await refusalOf(visitor.admin.redeemLink({ code: "a".repeat(32) }, origin))).toMatchObject(invalid);
      const page = clientOver(transportTo(mesh.url, token));
      expect((await page.session.listSessions({}, origin)).sessions.length).toBeGreaterThan(0);
      expect(await refusalOf(page.session.listSessions({}))).toMatchObject({
        code: "Unauthenticated",
        reason: "TOKEN_INVALID",
      });
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

/** The status of a POST over HTTP/1.1 without a token. */
async function http1Status(url: string, headers: Record<string, string>): Promise<number | undefined> {
  const request = http1Request(`${url}/${sendMethod}`, { method: "POST", headers, agent: false });
  request.end();
  const [response] = (await once(request, "response")) as [{ statusCode?: number; resume(): void }];
  response.resume();
  return response.statusCode;
}
