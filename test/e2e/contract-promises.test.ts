/** What the contract says of itself, asked of a mesh: what is not served, who sees which lists, what links give, how processes are. */
import { randomUUID } from "node:crypto";
import { createClient } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { AdminService } from "../../gen/atoll/admin/v1/admin_service_pb.ts";
import { Scope } from "../../gen/atoll/auth/v1/options_pb.ts";
import { RunState } from "../../gen/atoll/session/v1/run_pb.ts";
import type { Cursor, IndexEntry } from "../../gen/atoll/session/v1/watch_pb.ts";
import { ServerTransport } from "../../gen/atoll/tool/v1/tool_pb.ts";
import { ruleOf } from "../../services/kernel/rpc/gate/method-rule.ts";
import { callFirst, everyRpc, nameOf } from "../edge/rpcs-of-a-run.fixture.ts";
import { verifies } from "../requirements.ts";
import { topologies, transportTo } from "../support/mesh-process.ts";
import {
  clientOver,
  eventually,
  inSession,
  type MeshClient,
  readUntilEnd,
  refusalOf,
  say,
} from "./mesh-client.fixture.ts";
import { type ScriptedMesh, showLogOnFailure, startScriptedMesh } from "./scripted-mesh.fixture.ts";

const digest = "a".repeat(64);
const ids = () => ({ requestId: randomUUID(), sessionId: "ses_1", approvalId: "apr_1", questionId: "que_1" });

/** A request that every rule of its fields lets through, for each RPC that is not served yet. */
const notServed: Readonly<Record<string, () => object>> = {
  "GatewayService/ResolveApproval": () => ({ ...ids(), decision: 1, digest }),
  "GatewayService/AnswerQuestion": () => ({ ...ids(), action: 1, answer: { case: "text", value: "yes" } }),
  "SessionService/ResolveApproval": () => ({ ...ids(), decision: 2, digest }),
  "SessionService/AnswerQuestion": () => ({ ...ids(), action: 2 }),
  "SessionService/ListApprovals": () => ({}),
  "SessionService/ListQuestions": () => ({}),
  "SessionService/SignDecision": () => ({ ...ids(), callId: "c1", decision: 3, digest }),
  "ToolRouterService/ApproveTool": () => ({ requestId: randomUUID(), tool: "a.b", definitionHash: digest }),
  "ToolRouterService/CreateServer": () => ({ requestId: randomUUID(), name: "a", config: {} }),
  "ToolRouterService/UpdateServer": () => ({ requestId: randomUUID(), name: "a", config: {} }),
  "ToolRouterService/DeleteServer": () => ({ requestId: randomUUID(), name: "a" }),
  "AdminService/UpdateConfig": () => ({ requestId: randomUUID(), config: {} }),
  "AdminService/CreateKey": () => ({ requestId: randomUUID(), name: "a", scopes: [Scope.SESSIONS_READ] }),
  "AdminService/ListKeys": () => ({}),
  "AdminService/RevokeKey": () => ({ requestId: randomUUID(), keyId: "k" }),
  "AdminService/ListAuditEntries": () => ({}),
  "AdminService/Drain": () => ({ instanceId: "ins_1" }),
};

/** A reference to the environment, as configuration has it. */
const home = "$" + "{HOME}";

const config = JSON.stringify({
  mcpServers: { off: { command: "x", env: { A: "s3cret", B: home }, disabled: true } },
});

describe.each(topologies)("the contract, %s", (topology) => {
  let scripted: ScriptedMesh;
  let client: MeshClient;

  beforeAll(async () => {
    scripted = await startScriptedMesh({ topology, config });
    ({ client } = scripted);
  });
  afterAll(() => scripted?.stop());
  beforeEach(() => showLogOnFailure(scripted.mesh));

  test(`marks what is not served, and that alone answers METHOD_NOT_SERVED ${verifies("L6")}`, async () => {
    const marked = everyRpc.filter((method) => ruleOf(method).notServed);
    expect(marked.map(nameOf).sort()).toEqual(Object.keys(notServed).sort());
    for (const method of marked) {
      const refused = await refusalOf(
        callFirst(scripted.mesh.transport(), method, notServed[nameOf(method)]?.() ?? {}),
      );
      expect([nameOf(method), refused.code, refused.reason]).toEqual([
        nameOf(method),
        "Unimplemented",
        "METHOD_NOT_SERVED",
      ]);
    }
  });

  test(`gives browsers the index of all sessions as a server stream, from a list on ${verifies("S6")}`, async () => {
    const listed = await say(client, "tokens=3");
    await readUntilEnd(client, listed);
    const { sessionId: old } = listed;
    const { indexCursor } = await client.session.listSessions({});
    const seen: IndexEntry[] = [];
    let reached = indexCursor;
    const control = new AbortController();
    const reading = (async () => {
      const request = indexCursor === undefined ? {} : { cursor: indexCursor };
      for await (const { entries, cursor } of client.gateway.subscribeIndex(request, { signal: control.signal })) {
        seen.push(...entries);
        reached = cursor;
      }
    })().catch((error: unknown) => error);
    const fresh = await say(client, "tokens=3");
    await readUntilEnd(client, fresh);
    await eventually("the new one is there, as it is now", () =>
      seen.findLast(({ sessionId }) => sessionId === fresh.sessionId)?.activeRunId === "" ? true : undefined,
    );
    expect(seen.filter(({ sessionId }) => sessionId === old)).toEqual([]);
    await client.session.deleteSession({ requestId: randomUUID(), sessionId: old });
    await eventually("the deletion is told", () =>
      seen.some(({ sessionId, deleted }) => sessionId === old && deleted) ? true : undefined,
    );
    control.abort();
    await reading;
    // From the place that was reached, nothing comes again.
    expect(reached).toMatchObject({ logId: indexCursor?.logId, afterSeq: seen.at(-1)?.seq });
    for await (const { entries, cursor } of client.gateway.subscribeIndex({ cursor: reached as Cursor })) {
      expect([entries, cursor]).toEqual([[], reached]);
      break;
    }
    const ahead = { logId: indexCursor?.logId ?? "", afterSeq: 9_999_999n };
    const wrong = async () => {
      for await (const _ of client.gateway.subscribeIndex({ cursor: ahead }));
    };
    expect(await refusalOf(wrong())).toMatchObject({ code: "OutOfRange", reason: "CURSOR_AHEAD" });
  });

  test("lists runs of all sessions, newest first, page by page, by state, session and agent", async () => {
    const first = await say(client, "tokens=3");
    await readUntilEnd(client, first);
    const second = await say(client, "tokens=3", inSession(first.sessionId));
    await readUntilEnd(client, { ...second, sessionId: first.sessionId });
    const other = await say(client, "tokens=3");
    await readUntilEnd(client, other);
    const newest = await client.session.listRuns({ pageSize: 2 });
    expect(newest.runs.map(({ runId }) => runId)).toEqual([other.runId, second.runId]);
    const next = await client.session.listRuns({ pageSize: 2, pageToken: newest.nextPageToken });
    expect(next.runs[0]?.runId).toBe(first.runId);
    const { sessionId } = first;
    const ofSession = await client.session.listRuns({ sessionId, states: [RunState.FINISHED], agentId: "main" });
    expect(ofSession.runs.map(({ runId }) => runId)).toEqual([second.runId, first.runId]);
    expect(ofSession.nextPageToken).toBe("");
    expect((await client.session.listRuns({ sessionId, states: [RunState.QUEUED] })).runs).toEqual([]);
    expect((await client.session.listRuns({ agentId: "other" })).runs).toEqual([]);
    expect(await refusalOf(client.session.listRuns({ pageToken: "bm9uZQ" }))).toMatchObject({
      reason: "FIELD_INVALID",
    });
  });

  test("tells how each process is, each once", async () => {
    const { instances, components, workers } = await client.admin.getStatus({});
    expect(instances.flatMap(({ services }) => services).sort()).toEqual(["agent", "gateway", "session", "toolrouter"]);
    expect(instances).toHaveLength(topology === "embedded" ? 1 : 4);
    expect(new Set(instances.map(({ instanceId }) => instanceId)).size).toBe(instances.length);
    expect(instances[0]?.services).toContain("gateway");
    expect(instances.every(({ rssBytes, draining }) => rssBytes > 1_000_000n && !draining)).toBe(true);
    expect(workers).toBe(1);
    expect(components.map(({ name }) => name)).toEqual(["agent", "mcp/off", "session", "toolrouter"]);
  });

  test("gives a server's configuration, secrets as references or kept, under a revision", async () => {
    const { server, config: shown, revision } = await client.tools.getServer({ name: "off" });
    expect(server).toMatchObject({ name: "off", transport: ServerTransport.STDIO });
    expect(shown).toMatchObject({ command: "x", env: { A: "[kept]", B: home } });
    expect(revision).toMatch(/^[0-9a-f]{16}$/);
    const whole = await client.admin.getConfig({});
    expect(whole.config?.mcpServers["off"]?.env).toEqual({ A: "[kept]", B: home });
    expect(whole.revision).toMatch(/^[0-9a-f]{16}$/);
    expect((await client.admin.getConfig({})).revision).toBe(whole.revision);
  });

  test("lets a link give what its maker has, or less: one session, to read", async () => {
    const mine = await say(client, "tokens=3");
    const other = await say(client, "tokens=3");
    const requestId = randomUUID();
    const wanted = { requestId, sessionId: mine.sessionId };
    const { url } = await client.admin.createLink(wanted);
    expect((await client.admin.createLink(wanted)).url).toBe(url);
    expect(await refusalOf(client.admin.createLink({ requestId }))).toMatchObject({ reason: "REQUEST_ID_REUSED" });
    expect(
      await refusalOf(client.admin.createLink({ ...wanted, requestId: randomUUID(), scopes: [Scope.ADMIN] })),
    ).toMatchObject({ reason: "FIELD_INVALID", fields: ["scopes[0]"] });
    const guest = await redeem(url);
    expect((await guest.session.listSessions({})).sessions.map(({ sessionId }) => sessionId)).toEqual([mine.sessionId]);
    expect((await guest.session.listRuns({})).runs.map(({ runId }) => runId)).toEqual([mine.runId]);
    expect((await readUntilEnd(guest, mine)).length).toBeGreaterThan(3);
    const notThere = { code: "NotFound" };
    expect(await refusalOf(readUntilEnd(guest, other))).toMatchObject(notThere);
    expect(await refusalOf(guest.session.getRun({ runId: other.runId }))).toMatchObject(notThere);
    expect(await refusalOf(guest.session.listEvents({ sessionId: other.sessionId }))).toMatchObject(notThere);
    const refused = { code: "PermissionDenied", reason: "SCOPE_MISSING" };
    expect(await refusalOf(say(guest, "hello", inSession(mine.sessionId)))).toMatchObject(refused);
    expect(await refusalOf(guest.admin.getStatus({}))).toMatchObject(refused);
    const writer = await redeem(
      (await client.admin.createLink({ ...wanted, requestId: randomUUID(), scopes: [Scope.SESSIONS_WRITE] })).url,
    );
    const said = await say(writer, "tokens=3", inSession(mine.sessionId));
    expect(said.runId).not.toBe("");
    expect(await refusalOf(say(writer, "hello", inSession(other.sessionId)))).toMatchObject(notThere);
    expect(await refusalOf(say(writer, "hello"))).toMatchObject(notThere);
    expect(await refusalOf(writer.session.cancelRun({ requestId: randomUUID(), runId: other.runId }))).toMatchObject(
      notThere,
    );
    expect(await refusalOf(writer.session.createSession({ requestId: randomUUID() }))).toMatchObject(refused);
  });

  /** A client with the token that a link gives, from the page's own origin. */
  async function redeem(url: string): Promise<MeshClient> {
    const { origin, hash } = new URL(url);
    const from = { headers: { origin } };
    const code = hash.replace("#code=", "");
    const { token } = await createClient(AdminService, scripted.mesh.anonymousTransport()).redeemLink({ code }, from);
    return clientOver(transportTo(scripted.mesh.url, token, undefined, origin));
  }
});
