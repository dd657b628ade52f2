/**
 * What the token of a run opens, on a real split mesh: its own run and nothing of others, as long as the run is at work.
 * Each RPC of every contract is called with one.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { DescMethod } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { AgentService } from "../../gen/atoll/agent/v1/agent_service_pb.ts";
import { Scope } from "../../gen/atoll/auth/v1/options_pb.ts";
import { ToolOutcome } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import { PolicyVerdict } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { openMeshSecrets } from "../../services/kernel/auth/mesh-secrets.ts";
import { localTenant, type RunGrant } from "../../services/kernel/auth/principal.ts";
import { createSignedTokens } from "../../services/kernel/auth/signed-tokens.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import { ErrorReason } from "../../services/kernel/errors.ts";
import { ruleOf } from "../../services/kernel/rpc/gate/method-rule.ts";
import {
  clientOver,
  eventually,
  factsOf,
  type MeshClient,
  readLog,
  readUntilEnd,
  refusalOf,
  say,
} from "../e2e/mesh-client.fixture.ts";
import { showLogOnFailure } from "../e2e/scripted-mesh.fixture.ts";
import { verifies } from "../requirements.ts";
import { transportTo } from "../support/mesh-process.ts";
import { type JumpingMesh, startJumpingMesh } from "./jumping-mesh.fixture.ts";
import { callFirst, everyRpc, isOpen, nameOf, requests, scopes, withoutIds } from "./rpcs-of-a-run.fixture.ts";

let scripted: JumpingMesh;
let client: MeshClient;

beforeAll(async () => {
  scripted = await startJumpingMesh();
  ({ client } = scripted);
}, 240_000);

afterAll(() => scripted?.stop());

beforeEach(() => showLogOnFailure(scripted.mesh));

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

const argumentsJson = '{"text":"x"}';
const ways = new Map<string, Transport>();

/** One connection for each token: an address may have so many. */
function wayOf(token: string): Transport {
  const way = ways.get(token) ?? transportTo(scripted.mesh.url, token);
  ways.set(token, way);
  return way;
}

function call(token: string, method: DescMethod, request: object): Promise<unknown> {
  return callFirst(wayOf(token), method, request);
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
        expect(await asked).toMatchObject({
          frame: { case: "cancelled", value: { reason: ErrorReason.SESSION_NOT_FOUND } },
        });
        return;
      }
      if (name === "GatewayService/SubscribeSessions") {
        expect(await asked).toMatchObject({
          ended: true,
          events: [],
          error: { reason: ErrorReason.SESSION_NOT_FOUND },
        });
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
