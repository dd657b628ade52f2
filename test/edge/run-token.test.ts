/**
 * What the token of a run opens, on a real split mesh: its own run and nothing of others, as long as the run is at work.
 * Each RPC of every contract is called with one. And a clock that jumps by days ends no run.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { DescMethod } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { AdminService } from "../../gen/atoll/admin/v1/admin_service_pb.ts";
import { AgentService } from "../../gen/atoll/agent/v1/agent_service_pb.ts";
import { Scope } from "../../gen/atoll/auth/v1/options_pb.ts";
import { RunStatus } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import { GatewayService } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SessionService } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { PolicyVerdict, ToolRouterService } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { openMeshSecrets } from "../../services/kernel/auth/mesh-secrets.ts";
import { localTenant, type RunGrant } from "../../services/kernel/auth/principal.ts";
import { createSignedTokens } from "../../services/kernel/auth/signed-tokens.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { ruleOf } from "../../services/kernel/rpc/gate/method-rule.ts";
import {
  clientOver,
  endsOf,
  eventually,
  factsOf,
  type MeshClient,
  readLog,
  readUntilEnd,
  refusalOf,
  say,
} from "../e2e/mesh-client.fixture.ts";
import { type ScriptedMesh, showLogOnFailure, startScriptedMesh } from "../e2e/scripted-mesh.fixture.ts";
import { verifies } from "../requirements.ts";
import { openClock } from "../support/jumping-clock.ts";
import { transportTo } from "../support/mesh-process.ts";

const argumentsJson = '{"text":"x"}';

const dayMs = 86_400_000;
const probe = resolve(import.meta.dirname, "../support/mcp-probe-server.ts");
const folder = mkdtempSync(join(tmpdir(), "atoll-run-token-"));
const history = join(folder, "calls.jsonl");
const clock = openClock(join(folder, "clock"));

let scripted: ScriptedMesh;
let client: MeshClient;

beforeAll(async () => {
  scripted = await startScriptedMesh({
    topology: "split",
    config: JSON.stringify({
      agents: { main: { tools: ["probe.echo", "probe.slow"] }, other: {} },
      mcpServers: {
        filesystem: { disabled: true },
        probe: { command: process.execPath, args: [probe, `--history=${history}`], trusted: true },
      },
    }),
    env: {
      NODE_OPTIONS: `--import=${resolve(import.meta.dirname, "../support/jumping-clock.ts")}`,
      ATOLL_TEST_CLOCK: join(folder, "clock"),
    },
  });
  ({ client } = scripted);
}, 240_000);

afterAll(async () => {
  await scripted?.stop();
  rmSync(folder, { recursive: true, force: true });
});

beforeEach(() => showLogOnFailure(scripted.mesh));

const scopes = new Set([Scope.SESSIONS_READ, Scope.TOOLS_READ, Scope.TOOLS_CALL]);

/** The token that a worker has of this run; `of` says something else in it. */
async function tokenOf(of: RunGrant): Promise<string> {
  const tokens = createSignedTokens(openMeshSecrets(scripted.mesh.dataDir).signingKey, systemClock);
  return tokens.sign("run", { tenant: localTenant, name: "user:local", scopes, origin: undefined, run: of });
}

interface AtWork {
  readonly grant: RunGrant;
  readonly callId: string;
  readonly holder: MeshClient;
  readonly end: () => Promise<void>;
}

/** A run that waits for a tool, and somebody who holds its token. */
async function atWork(words = 'call probe.slow {"ms":600000}'): Promise<AtWork> {
  const { sessionId, runId } = await say(client, words);
  const callId = await eventually("the call has started", async () => {
    const started = (await readLog(client, sessionId)).find(({ body }) => body.case === "toolCallStarted");
    return started?.body.case === "toolCallStarted" ? started.body.value.callId : undefined;
  });
  const { run } = await client.session.getRun({ runId });
  const grant = { sessionId, runId, agentId: run?.agentId ?? "", epoch: Number(run?.epoch) };
  return {
    grant,
    callId,
    holder: clientOver(wayOf(await tokenOf(grant))),
    async end() {
      await client.session.cancelRun({ requestId: crypto.randomUUID(), runId });
      await readUntilEnd(client, { sessionId, runId });
    },
  };
}

type Ask = (of: { readonly grant: RunGrant; readonly callId: string }) => object;

/** A request for each RPC that the scopes of a run's token let in, with ids in it. */
const requests: Readonly<Record<string, Ask>> = {
  "GatewayService/Subscribe": ({ grant }) => ({ sessionId: grant.sessionId }),
  "GatewayService/SubscribeSessions": ({ grant }) => ({ subscriptions: [{ sessionId: grant.sessionId }] }),
  "GatewayService/WaitRun": ({ grant }) => ({ runId: grant.runId, timeoutMs: 1 }),
  "SessionService/GetSession": ({ grant }) => ({ by: { case: "sessionId", value: grant.sessionId } }),
  "SessionService/ListSessions": () => ({}),
  "SessionService/CountSessions": () => ({}),
  "SessionService/GetRun": ({ grant }) => ({ runId: grant.runId }),
  "SessionService/WaitRun": ({ grant }) => ({ runId: grant.runId, timeoutMs: 1 }),
  "SessionService/ListEvents": ({ grant }) => ({ sessionId: grant.sessionId }),
  "SessionService/GetSnapshot": ({ grant }) => ({ sessionId: grant.sessionId }),
  "SessionService/Watch": ({ grant }) => ({
    frame: { case: "create", value: { watchId: 1n, target: { case: "sessionId", value: grant.sessionId } } },
  }),
  "ToolRouterService/CallTool": ({ grant }) => ({ frame: { case: "call", value: echo(grant) } }),
  "ToolRouterService/InvokeTool": ({ grant }) => ({ call: echo(grant) }),
  "ToolRouterService/ReattachCall": ({ callId }) => ({ callId }),
  "ToolRouterService/ListTools": ({ grant }) => ({ agentId: grant.agentId }),
  "ToolRouterService/WatchTools": () => ({}),
  "ToolRouterService/ExplainPolicy": ({ grant }) => ({ tool: "probe.echo", context: contextOf(grant) }),
  "ToolRouterService/ListServers": () => ({}),
  "ToolRouterService/GetServer": () => ({ name: "probe" }),
};
/** What names nobody and is answered with what is the run's own. */
const withoutIds = new Set(["ListSessions", "CountSessions", "WatchTools", "ListServers", "GetServer"]);

const contextOf = ({ sessionId, runId, agentId, epoch }: RunGrant) => ({
  ...{ sessionId, runId, agentId },
  epoch: BigInt(epoch),
});
const echo = (grant: RunGrant) => ({
  ...{ callId: `try-${crypto.randomUUID()}`, tool: "probe.echo", argumentsJson },
  context: contextOf(grant),
});

const everyRpc = [GatewayService, SessionService, AgentService, ToolRouterService, AdminService].flatMap(
  (service) => service.methods,
);
const nameOf = (method: DescMethod): string => `${method.parent.name}/${method.name}`;
const isOpen = (method: DescMethod): boolean => scopes.has(ruleOf(method).scope as never);

const ways = new Map<string, Transport>();

/** One connection for each token: an address may have so many. */
function wayOf(token: string): Transport {
  const way = ways.get(token) ?? transportTo(scripted.mesh.url, token);
  ways.set(token, way);
  return way;
}

/** Calls an RPC and takes what comes first. */
async function call(token: string, method: DescMethod, request: object): Promise<unknown> {
  const rpcs = createClient(method.parent, wayOf(token)) as unknown as Record<
    string,
    (input: unknown, options: object) => unknown
  >;
  const control = new AbortController();
  const isBidi = method.methodKind === "bidi_streaming";
  const held = Promise.withResolvers<void>();
  async function* frames() {
    yield request;
    await held.promise;
  }
  try {
    const answer = rpcs[method.localName]?.(isBidi ? frames() : request, { signal: control.signal, timeoutMs: 3_000 });
    if (method.methodKind === "unary") return await answer;
    for await (const frame of answer as AsyncIterable<unknown>) return frame;
    return undefined;
  } finally {
    held.resolve();
    control.abort();
  }
}

describe(`the token of a run ${verifies("E4")}`, () => {
  let mine: AtWork;
  let other: AtWork;
  let token: string;

  beforeAll(async () => {
    [mine, other] = await Promise.all([atWork(), atWork()]);
    token = await tokenOf(mine.grant);
  });

  test("is let into the RPCs that stand here, and refused by every other one", async () => {
    expect(everyRpc.filter(isOpen).map(nameOf).sort()).toEqual(Object.keys(requests).sort());
    for (const method of everyRpc.filter((each) => !isOpen(each) && ruleOf(each).scope !== Scope.PUBLIC)) {
      const refused = await refusalOf(call(token, method, {}));
      const { code, reason } = refused;
      expect([nameOf(method), code, reason]).toEqual([nameOf(method), "PermissionDenied", "SCOPE_MISSING"]);
    }
  });

  test.each(Object.keys(requests))("opens its own run by %s", async (name) => {
    const method = everyRpc.find((each) => nameOf(each) === name) ?? expect.fail(name);
    const asked = call(token, method, requests[name]?.(mine) ?? {});
    if (name === "ToolRouterService/ReattachCall") {
      // It waits for the outcome of the call that goes on.
      expect(await refusalOf(asked)).toMatchObject({ code: "DeadlineExceeded" });
      return;
    }
    const answer = await asked;
    expect(answer).toBeDefined();
    // Nothing of anybody else stands in it.
    const text = JSON.stringify(answer, (_key, value) => (typeof value === "bigint" ? String(value) : value));
    for (const id of [other.grant.sessionId, other.grant.runId, other.callId]) expect(text).not.toContain(id);
    for (const tool of ["probe.fail", "probe.crash"]) expect(text).not.toContain(tool);
  });

  test.each(Object.keys(requests).filter((name) => !withoutIds.has(name.split("/")[1] ?? "")))(
    "finds nothing of another run by %s",
    async (name) => {
      const method = everyRpc.find((each) => nameOf(each) === name) ?? expect.fail(name);
      const agentId = "other";
      const theirs = { grant: { ...other.grant, agentId }, callId: other.callId };
      const asked = call(token, method, requests[name]?.(theirs) ?? {});
      if (name === "SessionService/Watch") {
        expect(await asked).toMatchObject({ frame: { case: "cancelled", value: { reason: "SESSION_NOT_FOUND" } } });
        return;
      }
      if (name === "GatewayService/SubscribeSessions") {
        expect(await asked).toMatchObject({ ended: true, events: [], error: { reason: "SESSION_NOT_FOUND" } });
        return;
      }
      expect(await refusalOf(asked)).toMatchObject({ code: "NotFound", reason: /_NOT_FOUND$/ });
    },
  );

  test("never means every tool: not without an agent, and not with another's or one that there is not", async () => {
    const { tools } = mine.holder;
    const names = ["probe.echo", "probe.slow"];
    for (const agentId of ["", "main"]) {
      expect((await tools.listTools({ agentId })).tools.map(({ name }) => name)).toEqual(names);
    }
    for (const agentId of ["other", "nobody"]) {
      const notFound = { code: "NotFound", reason: "AGENT_NOT_FOUND" };
      expect(await refusalOf(tools.listTools({ agentId }))).toMatchObject(notFound);
      const asked = { callId: `a-${agentId}`, tool: "probe.fail", context: { agentId } };
      expect(await refusalOf(tools.invokeTool({ call: asked }))).toMatchObject(notFound);
    }
    for (const context of [{}, { agentId: "main" }]) {
      const asked = { callId: `b-${crypto.randomUUID()}`, tool: "probe.fail", context };
      expect(await refusalOf(tools.invokeTool({ call: asked }))).toMatchObject({ reason: "TOOL_DENIED" });
      const explained = await tools.explainPolicy({ tool: "probe.fail", context });
      expect(explained.verdict).toBe(PolicyVerdict.DENY);
    }
    const call = { callId: "c", tool: "probe.echo", argumentsJson };
    expect(await refusalOf(tools.invokeTool({ call }))).toMatchObject({ reason: "FIELD_INVALID" });
    const { result } = await tools.invokeTool({ call: { ...call, context: {} } });
    expect(result?.outcome).toBe(ToolOutcome.SUCCEEDED);
  });

  test("makes no call of another epoch or session, and takes no call's id away from another run", async () => {
    const { tools } = mine.holder;
    const invoke = (context: object, callId: string = crypto.randomUUID()) =>
      refusalOf(tools.invokeTool({ call: { callId, tool: "probe.echo", argumentsJson, context } }));
    expect(await invoke({ epoch: 99n })).toMatchObject({ reason: "EPOCH_FENCED" });
    expect(await invoke({ sessionId: other.grant.sessionId })).toMatchObject({ reason: "SESSION_NOT_FOUND" });
    expect(await invoke({ runId: other.grant.runId })).toMatchObject({ reason: "RUN_NOT_FOUND" });
    // Whoever is asked of the other's call, then and before it is made: it is there as if nothing had been asked.
    const first = async (asked: AsyncIterable<unknown>) => {
      for await (const frame of asked) return frame;
      return undefined;
    };
    const notFound = { code: "NotFound", reason: "CALL_NOT_FOUND" };
    for (const callId of [other.callId, "yet-to-come", other.callId]) {
      expect(await refusalOf(first(tools.reattachCall({ callId, context: {} })))).toMatchObject(notFound);
    }
    const later = { callId: "yet-to-come", tool: "probe.echo", argumentsJson: `{"text":"mine"}`, context: {} };
    const { result } = await other.holder.tools.invokeTool({ call: later });
    expect(result?.outcome).toBe(ToolOutcome.SUCCEEDED);
    const attached = other.holder.tools.reattachCall({ callId: other.callId, context: {} }, { timeoutMs: 500 });
    expect(await refusalOf(first(attached))).toMatchObject({ code: "DeadlineExceeded" });
    // A person with every scope has no run's epoch either, and so can't push a run out of its own.
    const pushed = { ...later, callId: "push", context: { runId: other.grant.runId, epoch: 999n } };
    expect(await refusalOf(client.tools.invokeTool({ call: pushed }))).toMatchObject({ reason: "FIELD_INVALID" });
  });

  test("that names an epoch which is over, or a session that is not the run's, opens nothing", async () => {
    for (const of of [
      { ...mine.grant, epoch: mine.grant.epoch - 1 },
      { ...mine.grant, epoch: mine.grant.epoch + 1 },
      { ...mine.grant, sessionId: other.grant.sessionId },
    ]) {
      const stale = await tokenOf(of);
      for (const name of Object.keys(requests)) {
        const method = everyRpc.find((each) => nameOf(each) === name) ?? expect.fail(name);
        const refused = await refusalOf(call(stale, method, requests[name]?.({ ...mine, grant: of }) ?? {}));
        expect([name, refused.reason]).toEqual([name, expect.stringMatching(/EPOCH_FENCED|RUN_NOT_FOUND/)]);
      }
    }
  });

  test("ends with the run: for every RPC, and for the streams that were open", async () => {
    const { sessionId } = mine.grant;
    const streams = [
      mine.holder.gateway.subscribe({ sessionId }),
      mine.holder.gateway.subscribeSessions({ subscriptions: [{ sessionId }] }),
      mine.holder.tools.watchTools({}),
      mine.holder.session.watch(
        (async function* () {
          yield requests["SessionService/Watch"]?.(mine) as never;
          await new Promise(() => undefined);
        })(),
      ),
    ];
    const ends = streams.map(async (stream) => {
      try {
        for await (const _ of stream);
        return undefined;
      } catch (error) {
        return factsOf(error).reason;
      }
    });
    await mine.end();
    expect(await Promise.all(ends)).toEqual(streams.map(() => "RUN_FINISHED"));
    const listed = () => refusalOf(mine.holder.tools.listTools({})).catch(() => undefined);
    await expect.poll(listed).toMatchObject({ reason: "RUN_FINISHED" });
    for (const name of Object.keys(requests)) {
      const method = everyRpc.find((each) => nameOf(each) === name) ?? expect.fail(name);
      const refused = await refusalOf(call(token, method, requests[name]?.(mine) ?? {}));
      expect([name, refused.code, refused.reason]).toEqual([name, "FailedPrecondition", "RUN_FINISHED"]);
    }
    // The other run is at work as before.
    expect((await other.holder.session.getRun({ runId: other.grant.runId })).run?.runId).toBe(other.grant.runId);
    await other.end();
  });
});

describe(`what a worker's process holds ${verifies("E22")}`, () => {
  test("is neither the mesh's key nor the token of its people: its port takes no such token, and it signs nothing", async () => {
    const { url } = scripted.mesh.processOf("agent");
    const direct = createClient(AgentService, transportTo(url, scripted.mesh.token));
    expect(await refusalOf(direct.listAgents({}))).toMatchObject({ reason: "TOKEN_INVALID" });
    expect((await client.agent.listAgents({})).agents.map(({ agentId }) => agentId)).toEqual(["main", "other"]);
  });

  test("opens Attach and nothing else", async () => {
    const token = readFileSync(join(scripted.mesh.dataDir, "worker.token"), "utf8").trim();
    for (const method of everyRpc.filter((each) => ruleOf(each).scope !== Scope.PUBLIC)) {
      if (method.name === "Attach") continue;
      const refused = await refusalOf(call(token, method, {}));
      expect([nameOf(method), refused.reason]).toEqual([nameOf(method), "SCOPE_MISSING"]);
    }
  });

  test("runs the loop on its own with what it was called with, tools included", async () => {
    const kinds: string[] = [];
    async function* start() {
      const message = {
        content: [{ block: { case: "text" as const, value: { text: 'call probe.echo {"text":"hi"}' } } }],
      };
      yield { frame: { case: "start" as const, value: { agentId: "main", message } } };
    }
    for await (const { events } of client.agent.run(start())) kinds.push(...events.map(({ body }) => body.case ?? ""));
    expect(kinds).toContain("toolCallFinished");
    expect(kinds.at(-1)).toBe("runFinished");
  });
});

describe(`a clock that jumps by days ${verifies("FE5")}`, () => {
  const jumps = [
    ["40 days ahead", 40 * dayMs],
    ["40 days back again", 0],
    ["3 days back", -3 * dayMs],
    ["and ahead again", 0],
  ] as const;

  test.each(jumps)("during a tool call ends no run: %s", async (_case, aheadMs) => {
    const { sessionId, runId } = await say(client, 'call probe.slow {"ms":2500}');
    await eventually("the call has started", async () =>
      (await readLog(client, sessionId)).find(({ body }) => body.case === "toolCallStarted"),
    );
    clock.set(aheadMs);
    const events = await readUntilEnd(client, { sessionId, runId });
    expect(endsOf(events, runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
    expect(events.flatMap(({ body }) => (body.case === "toolCallFinished" ? [body.value.outcome] : []))).toEqual([
      ToolOutcome.SUCCEEDED,
    ]);
  });

  test.each(jumps)("during a model call, before a tool is called, ends no run: %s", async (_case, aheadMs) => {
    const { sessionId, runId } = await say(client, `call probe.echo {"text":"after the jump"} delay=400`);
    await eventually("the model was asked", async () =>
      (await readLog(client, sessionId)).find(({ body }) => body.case === "stepStarted"),
    );
    clock.set(aheadMs);
    const events = await readUntilEnd(client, { sessionId, runId });
    expect(endsOf(events, runId)).toMatchObject([{ status: RunStatus.COMPLETED }]);
    expect(events.flatMap(({ body }) => (body.case === "toolCallFinished" ? [body.value.outcome] : []))).toEqual([
      ToolOutcome.SUCCEEDED,
    ]);
  });
});
