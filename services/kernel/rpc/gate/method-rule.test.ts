import { create, createFileRegistry, type DescMethod } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { AdminService } from "../../../../gen/atoll/admin/v1/admin_service_pb.ts";
import { AgentService } from "../../../../gen/atoll/agent/v1/agent_service_pb.ts";
import { Scope } from "../../../../gen/atoll/auth/v1/options_pb.ts";
import { GatewayService } from "../../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SessionService } from "../../../../gen/atoll/session/v1/session_service_pb.ts";
import { ToolRouterService } from "../../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { Health } from "../../../../gen/grpc/health/v1/health_pb.ts";
import { verifies } from "../../../../test/requirements.ts";
import { RawSessionService } from "../hops/raw-session-service.ts";
import { administrator, failureOf, localToken, onBehalfOf, served, serveRpcs } from "../served-rpcs.fixture.ts";
import { ruleOf } from "./method-rule.ts";

const contracts = [GatewayService, SessionService, AgentService, ToolRouterService, AdminService];
const methods = contracts.flatMap((service) =>
  service.methods.map((method) => [`${service.name}/${method.name}`, method] as const),
);
/** What anyone may call: who has nothing but a one-time link, or must know the mesh before it is sent a token. */
const openToAnyone = ["AdminService/RedeemLink", "AdminService/ProveIdentity"];

function unruledMethod(): DescMethod {
  const set = create(FileDescriptorSetSchema, {
    file: [
      {
        name: "elsewhere.proto",
        package: "elsewhere",
        messageType: [{ name: "Word" }],
        service: [
          {
            name: "EchoService",
            method: [{ name: "Echo", inputType: ".elsewhere.Word", outputType: ".elsewhere.Word" }],
          },
        ],
        syntax: "proto3",
      },
    ],
  });
  const method = createFileRegistry(set).getService("elsewhere.EchoService")?.methods[0];
  if (method === undefined) throw new Error("the descriptor set has no method");
  return method;
}

describe(`the rule of an RPC ${verifies("L6")}`, () => {
  it.each(methods)("stands in the contract of %s: who may call, how large, how long", (name, method) => {
    const { scope, maxRequestBytes, maxTimeoutMs } = ruleOf(method);
    expect(scope).not.toBe(Scope.UNSPECIFIED);
    expect(scope === Scope.PUBLIC).toBe(openToAnyone.includes(name));
    expect(maxRequestBytes).toBeGreaterThanOrEqual(scope === Scope.PUBLIC ? 256 : 1_024);
    // A message of 4 MiB and what stands around it.
    expect(maxRequestBytes).toBeLessThanOrEqual(4_259_840);
    if (method.methodKind === "unary") expect(maxTimeoutMs).toBeGreaterThan(0);
  });

  it("is the same for the twins that carry encoded events", () => {
    expect(RawSessionService.methods.map(ruleOf)).toEqual(SessionService.methods.map(ruleOf));
  });

  it("lets anyone ask for health", () => {
    expect(Health.methods.map((method) => ruleOf(method).scope)).toEqual(Health.methods.map(() => Scope.PUBLIC));
  });

  it("denies an RPC without one to everyone, an administrator included", async () => {
    const method = unruledMethod();
    expect(ruleOf(method).scope).toBe(Scope.UNSPECIFIED);
    let calls = 0;
    const echo = () => {
      calls += 1;
      return {};
    };
    const mesh = await serveRpcs([{ service: method.parent, handlers: { echo } }]);
    const ask = (transport: typeof mesh.inMemory, options = {}) =>
      transport.unary(
        method as never,
        undefined,
        undefined,
        undefined,
        {},
        (options as { contextValues?: never }).contextValues,
      );
    const refusal = { reason: "SCOPE_MISSING" };
    expect(await failureOf(ask(mesh.connect("Connect", localToken)))).toMatchObject(refusal);
    expect(await failureOf(ask(mesh.inMemory, onBehalfOf(administrator)))).toMatchObject(refusal);
    expect(calls).toBe(0);
  });
});

describe(`every RPC and every scope ${verifies("L6")}`, () => {
  it("answers a token that lacks the scope with SCOPE_MISSING and lets one that has it through to the handler", async () => {
    const mesh = await serveRpcs(contracts.map((service) => served(service, {})));
    const every = [...new Set(methods.map(([, method]) => ruleOf(method).scope))];
    for (const [name, method] of methods) {
      const { scope } = ruleOf(method);
      if (scope === Scope.PUBLIC) continue;
      for (const held of every) {
        const principal = { ...administrator, scopes: new Set([held]) };
        const { reason } = await failureOf(callOnce(mesh.inMemory, method, onBehalfOf(principal)));
        const mayCall = held === scope || (held === Scope.ADMIN && scope !== Scope.WORKER && scope !== Scope.OPERATOR);
        // No RPC is implemented here; a request that breaks a rule of its fields has passed the gate as well.
        const passed = reason === "METHOD_NOT_SERVED" || reason === "FIELD_INVALID";
        expect(passed, `${name} with scope ${held}: ${reason}`).toBe(mayCall);
        if (!mayCall) expect(reason).toBe("SCOPE_MISSING");
      }
    }
  });
});

async function callOnce(
  transport: Awaited<ReturnType<typeof serveRpcs>>["inMemory"],
  method: DescMethod,
  { contextValues }: ReturnType<typeof onBehalfOf>,
): Promise<void> {
  if (method.methodKind === "unary") {
    await transport.unary(method as never, undefined, undefined, undefined, {}, contextValues);
    return;
  }
  async function* one() {
    yield {} as never;
  }
  const { message } = await transport.stream(method as never, undefined, undefined, undefined, one(), contextValues);
  for await (const _ of message);
}
