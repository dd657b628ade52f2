/** T1 and T2 across lives of the router: an earlier life is a ledger with an intent and no outcome. */
import path from "node:path";
import { create } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import { ToolCallSchema } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ErrorReason, failedWith } from "../../kernel/errors.ts";
import { openCallLedger } from "../ledger/open-call-ledger.ts";
import {
  callsIn,
  collect,
  holderOf,
  probe,
  scope,
  startRouter,
  temporaryFolder,
  until,
} from "../toolrouter.fixture.ts";
import { digestOf } from "./call-digest.ts";

const call = {
  callId: "c1",
  tool: "probe.echo",
  argumentsJson: JSON.stringify({ text: "effect" }),
  context: { sessionId: "ses_1", runId: "run_1", agentId: "main", epoch: 1n },
};

async function leaveOpen(dataDir: string): Promise<void> {
  const ledger = await openCallLedger(dataDir, Date.now);
  const digest = digestOf(create(ToolCallSchema, call), call.argumentsJson);
  const intent = { callId: call.callId, tool: call.tool, digest, sessionId: "ses_1", runId: "run_1", epoch: 1 };
  expect(await ledger.begin(scope, "ins_dead", intent)).toEqual({ kind: "dispatch" });
  await ledger.close();
}

describe("a call that a dead instance left open", () => {
  it("ends as unknown and is not dispatched", async () => {
    const [dataDir, file] = [temporaryFolder(), path.join(temporaryFolder(), "history")];
    await leaveOpen(dataDir);
    const router = await startRouter({ probe: probe(file) }, { dataDir, caller: () => holderOf() });
    for (let time = 0; time < 2; time++) {
      const { result } = await router.client.invokeTool({ call });
      expect(result).toMatchObject({ outcome: ToolOutcome.UNKNOWN, reason: ErrorReason.TOOL_OUTCOME_UNKNOWN });
    }
    expect(callsIn(file, "echo")).toEqual([]);
  });

  it("is dispatched again when the operator marked the tool", async () => {
    const [dataDir, file] = [temporaryFolder(), path.join(temporaryFolder(), "history")];
    await leaveOpen(dataDir);
    const router = await startRouter(
      { probe: probe(file, { repeatableTools: ["echo"] }) },
      { dataDir, caller: () => holderOf() },
    );
    const { result } = await router.client.invokeTool({ call });
    expect(result?.outcome).toBe(ToolOutcome.SUCCEEDED);
    expect(callsIn(file, "echo")).toEqual([{ text: "effect" }]);
  });

  it("is told as unknown to whoever reattaches", async () => {
    const dataDir = temporaryFolder();
    await leaveOpen(dataDir);
    const router = await startRouter({}, { dataDir, caller: () => holderOf() });
    const frames = await collect(router.client.reattachCall({ callId: "c1", context: call.context }));
    expect(frames.map(({ frame }) => frame.case)).toEqual(["result"]);
    expect(frames[0]?.frame.value).toMatchObject({ outcome: ToolOutcome.UNKNOWN });
  });
});

describe(`a call whose caller says that it had started, when the ledger was lost ${verifies("FL6", "T1", "F3")}`, () => {
  const started = { ...call, hasStarted: true };

  it("ends as unknown and is not made, however often it is asked for", async () => {
    const file = path.join(temporaryFolder(), "history");
    const router = await startRouter({ probe: probe(file) }, { caller: () => holderOf() });
    for (const again of [started, started, call]) {
      const { result } = await router.client.invokeTool({ call: again });
      expect(result).toMatchObject({ outcome: ToolOutcome.UNKNOWN, reason: ErrorReason.TOOL_OUTCOME_UNKNOWN });
      expect(result?.message).toContain("has lost its record of it");
    }
    const frames = await collect(router.client.reattachCall({ callId: "c1", context: call.context }));
    expect(frames.at(-1)?.frame.value).toMatchObject({ outcome: ToolOutcome.UNKNOWN });
    expect(callsIn(file, "echo")).toEqual([]);
  });

  it("is made again when the operator marked the tool", async () => {
    const file = path.join(temporaryFolder(), "history");
    const router = await startRouter(
      { probe: probe(file, { repeatableTools: ["echo"] }) },
      { caller: () => holderOf() },
    );
    const { result } = await router.client.invokeTool({ call: started });
    expect(result?.outcome).toBe(ToolOutcome.SUCCEEDED);
    expect(callsIn(file, "echo")).toEqual([{ text: "effect" }]);
  });

  it("has the outcome that the ledger knows, when it was not lost", async () => {
    const [dataDir, file] = [temporaryFolder(), path.join(temporaryFolder(), "history")];
    const first = await startRouter({ probe: probe(file) }, { dataDir, caller: () => holderOf() });
    const { result } = await first.client.invokeTool({ call });
    await first.close();
    const second = await startRouter({ probe: probe(file) }, { dataDir, caller: () => holderOf() });
    expect((await second.client.invokeTool({ call: started })).result).toEqual(result);
    expect(callsIn(file, "echo")).toHaveLength(1);
  });
});

describe("reattaching", () => {
  it("tombstones an unknown id, so that the late call is refused", async () => {
    const file = path.join(temporaryFolder(), "history");
    const router = await startRouter({ probe: probe(file) }, { caller: () => holderOf() });
    const { context } = call;
    const unknown = await collect(router.client.reattachCall({ callId: "c1", context })).catch((error) => error);
    expect(failedWith(unknown, ErrorReason.CALL_NOT_FOUND)).toBe(true);
    const late = await router.client.invokeTool({ call }).catch((error: unknown) => error);
    expect(late).toBeInstanceOf(ConnectError);
    expect(failedWith(late, ErrorReason.CALL_TOMBSTONED)).toBe(true);
    expect(callsIn(file, "echo")).toEqual([]);
  });

  it("finds the call that goes on after its caller has gone", async () => {
    const file = path.join(temporaryFolder(), "history");
    const router = await startRouter({ probe: probe(file) });
    const gone = new AbortController();
    const slow = { callId: "c1", tool: "probe.slow", argumentsJson: JSON.stringify({ ms: 1000 }) };
    const first = router.client.invokeTool({ call: slow }, { signal: gone.signal }).catch((error: unknown) => error);
    await until(() => callsIn(file, "slow").length === 1);
    gone.abort();
    expect(await first).toBeInstanceOf(ConnectError);
    const frames = await collect(router.client.reattachCall({ callId: "c1" }));
    expect(frames.at(-1)?.frame.value).toMatchObject({ outcome: ToolOutcome.SUCCEEDED });
    expect(callsIn(file, "slow")).toHaveLength(1);
    expect(callsIn(file, "slow cancelled")).toHaveLength(0);
  });

  it("finds a call that the closing router ended as unknown", async () => {
    const [dataDir, file] = [temporaryFolder(), path.join(temporaryFolder(), "history")];
    const first = await startRouter({ probe: probe(file) }, { dataDir });
    const slow = { callId: "c1", tool: "probe.slow", argumentsJson: JSON.stringify({ ms: 60_000 }) };
    const pending = first.client.invokeTool({ call: slow });
    await until(() => callsIn(file, "slow").length === 1);
    await first.close();
    const { result } = await pending;
    expect(result?.outcome).toBe(ToolOutcome.UNKNOWN);
    const second = await startRouter({}, { dataDir });
    const frames = await collect(second.client.reattachCall({ callId: "c1" }));
    expect(frames.at(-1)?.frame.value).toEqual(result);
  });
});
