import { create } from "@bufbuild/protobuf";
import { ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { ChatErrorSchema } from "../../gen/atoll/gateway/v1/chat_pb.ts";
import { GatewayService } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { AttachResponseSchema, BatchRefusedSchema } from "../../gen/atoll/session/v1/attach_pb.ts";
import { SessionService } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { WatchCancelledSchema } from "../../gen/atoll/session/v1/watch_pb.ts";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ErrorReason, failure } from "../../services/kernel/errors.ts";
import { checkReasons, UndeclaredReason } from "./check-reasons.ts";

/** Clients of a mesh that answers every call with one reason, and what was reported. */
function answering(reason: ErrorReason) {
  const refuse = (): never => {
    throw failure(reason, "no");
  };
  const transport = createRouterTransport((router) => {
    router.service(GatewayService, {
      waitRun: refuse,
      async *subscribe() {
        yield {};
        refuse();
      },
      async *chat() {
        yield { frame: { case: "error" as const, value: create(ChatErrorSchema, { reason }) } };
      },
      async *subscribeSessions() {
        yield { ended: true, error: create(ChatErrorSchema, { reason }) };
      },
    });
    router.service(SessionService, {
      async *watch() {
        yield { frame: { case: "cancelled" as const, value: create(WatchCancelledSchema, { reason }) } };
      },
      async *attach() {
        yield create(AttachResponseSchema, {
          frame: { case: "refused", value: create(BatchRefusedSchema, { reason }) },
        });
      },
    });
    router.service(Health, { check: refuse });
  });
  const reported: string[] = [];
  const checked = checkReasons(transport, ({ message }) => void reported.push(message));
  return {
    reported,
    gateway: createClient(GatewayService, checked),
    session: createClient(SessionService, checked),
    health: createClient(Health, checked),
  };
}

async function* nothing() {}

async function read(stream: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of stream) count += 1;
  return count;
}

describe("an answer with a reason that its RPC does not list", () => {
  const mesh = () => answering(ErrorReason.MODEL_REFUSED);
  const calls = [
    ["GatewayService/WaitRun", ({ gateway }) => gateway.waitRun({})],
    ["GatewayService/Subscribe", ({ gateway }) => read(gateway.subscribe({}))],
    ["GatewayService/Chat", ({ gateway }) => read(gateway.chat(nothing()))],
    ["GatewayService/SubscribeSessions", ({ gateway }) => read(gateway.subscribeSessions({}))],
    ["SessionService/Watch", ({ session }) => read(session.watch(nothing()))],
    ["SessionService/Attach", ({ session }) => read(session.attach(nothing()))],
  ] as const satisfies readonly (readonly [string, (mesh: ReturnType<typeof answering>) => Promise<unknown>])[];

  it.each(calls)("fails %s, and names both", async (name, call) => {
    const asked = mesh();
    const error = await call(asked).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UndeclaredReason);
    expect(error).not.toBeInstanceOf(ConnectError);
    expect(asked.reported).toEqual([expect.stringContaining(`${name} answered MODEL_REFUSED`)]);
  });

  it("is no matter in a contract of somebody else's", async () => {
    const { health, reported } = mesh();
    await expect(health.check({})).rejects.toBeInstanceOf(ConnectError);
    expect(reported).toEqual([]);
  });
});

describe.each([
  ["that its RPC lists", ErrorReason.RUN_NOT_FOUND],
  ["of any RPC", ErrorReason.INTERNAL],
])("an answer with a reason %s", (_, reason) => {
  it("is passed on as it is", async () => {
    const { gateway, session, reported } = answering(reason);
    await expect(gateway.waitRun({})).rejects.toBeInstanceOf(ConnectError);
    await expect(read(gateway.subscribe({}))).rejects.toBeInstanceOf(ConnectError);
    expect(await read(gateway.chat(nothing()))).toBe(1);
    expect(await read(gateway.subscribeSessions({}))).toBe(1);
    expect(await read(session.watch(nothing()))).toBe(1);
    expect(await read(session.attach(nothing()))).toBe(1);
    expect(reported).toEqual([]);
  });
});
