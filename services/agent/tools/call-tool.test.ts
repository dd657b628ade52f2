import { create, fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import { BatchAcceptedSchema } from "../../../gen/atoll/session/v1/attach_pb.ts";
import { ToolCallSchema } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { createLog } from "../../kernel/log.ts";
import { type ManualClock, manualClock } from "../../kernel/manual-clock.fixture.ts";
import { EventWriter } from "../loop/event-writer.ts";
import { RunOutlet } from "../worker/run-outlet.ts";
import { type CallToolParts, callTool } from "./call-tool.ts";

const endOfTick = () => new Promise((resolve) => setImmediate(resolve));
const callId = "c1";

/** Calls a tool that reports progress `reports` times, `everyMs` apart, and then answers. */
function callReporter({
  reports,
  everyMs,
  acknowledge,
}: Record<"reports" | "everyMs", number> & { acknowledge: boolean }) {
  const clock = manualClock();
  const events: Event[] = [];
  let batches = 0;
  let reported = 0;
  const outlet = new RunOutlet({ sessionId: "ses_1", runId: "run_1", epoch: 1 }, (batch) => {
    batches += 1;
    events.push(...batch.events.map((event) => fromBinary(EventSchema, event)));
    if (acknowledge) accept();
  });
  const accept = () => outlet.accepted(create(BatchAcceptedSchema, { batchNo: BigInt(batches) }));
  const toolRouter = {
    async *callTool() {
      for (; reported < reports; reported++) {
        yield { frame: { case: "progress", value: { callId, progress: reported + 1, message: "x".repeat(1_000) } } };
        clock.advance(everyMs);
        if (everyMs > 0) await endOfTick();
      }
      yield { frame: { case: "result", value: { callId, outcome: ToolOutcome.SUCCEEDED, content: [], message: "" } } };
    },
  };
  const ended = callTool(
    {
      deps: { toolRouter, clock, log: undefined } as unknown as CallToolParts["deps"],
      writer: new EventWriter({ outlet, runId: "run_1", attempt: 1, clock, deltaWindowMs: 0 }),
      signal: new AbortController().signal,
      options: {},
      isResumed: false,
      hasStarted: false,
    },
    create(ToolCallSchema, { callId }),
  );
  return {
    ended,
    accept,
    batches: () => batches,
    reported: () => reported,
    progress: () => events.flatMap(({ body }) => (body.case === "toolProgress" ? [body.value.progress] : [])),
    kinds: () => events.map(({ body }) => body.case),
  };
}

describe(`a tool that reports progress without end ${verifies("L7")}`, () => {
  it("waits when the session service acknowledges nothing, and goes on when it does", async () => {
    const call = callReporter({ reports: 400, everyMs: 100, acknowledge: false });
    for (let tick = 0; tick < 1_000; tick++) await endOfTick();
    expect(call.reported()).toBeGreaterThan(100);
    expect(call.batches()).toBeLessThanOrEqual(130);
    let hasEnded = false;
    void call.ended.then(() => {
      hasEnded = true;
    });
    while (!hasEnded) {
      call.accept();
      await endOfTick();
    }
    await endOfTick();
    expect(call.progress()).toHaveLength(400);
  });

  it("has one event each 100 ms, and its last state in front of the outcome", async () => {
    const slow = callReporter({ reports: 1_000, everyMs: 1, acknowledge: true });
    await slow.ended;
    await endOfTick();
    expect(slow.progress()).toHaveLength(11);
    expect(slow.progress().at(-1)).toBe(1_000);
    const atOnce = callReporter({ reports: 20_000, everyMs: 0, acknowledge: true });
    await atOnce.ended;
    await endOfTick();
    expect(atOnce.progress()).toEqual([1, 20_000]);
    expect(atOnce.kinds()).toEqual(["toolProgress", "toolProgress", "toolCallFinished"]);
  });
});

/** What a router says in one try: frames, or an error that breaks the stream. */
type Try = (clock: ManualClock) => readonly (object | Error)[];

const result = { case: "result", value: { callId, outcome: ToolOutcome.SUCCEEDED, content: [], message: "" } };
const cut = () => new ConnectError("cut", Code.Unavailable);

/** Calls a tool whose router says what `calls` and `reattaches` script, one try each; the last of them again and again. */
async function callThrough({ calls, reattaches = [] }: { calls: readonly Try[]; reattaches?: readonly Try[] }) {
  // Nobody sleeps: only the router's tries take time.
  const clock: ManualClock = { ...manualClock(), sleep: async () => undefined };
  const tries = { calls: 0, reattaches: 0 };
  const play = async function* (script: readonly Try[], tried: number) {
    for (const said of script[Math.min(tried, script.length - 1)]?.(clock) ?? []) {
      if (said instanceof Error) throw said;
      yield { frame: said };
    }
  };
  const toolRouter = {
    callTool: () => play(calls, tries.calls++),
    reattachCall: () => play(reattaches, tries.reattaches++),
  };
  const outlet = { deliver: () => undefined, ready: async () => undefined, durable: async () => undefined };
  const log = createLog({ level: "error", format: "json", destination: { write: () => undefined } });
  const finished = await callTool(
    {
      deps: { toolRouter, clock, log } as unknown as CallToolParts["deps"],
      writer: new EventWriter({ outlet, runId: "run_1", attempt: 1, clock, deltaWindowMs: 0 }),
      signal: new AbortController().signal,
      options: {},
      isResumed: false,
      hasStarted: false,
    },
    create(ToolCallSchema, { callId }),
  );
  return { finished, tries };
}

describe(`a call whose router goes away ${verifies("T2")}`, () => {
  const started = { case: "started", value: { callId } };
  const healthyForAWhile: Try = (clock) => {
    clock.advance(31_000);
    return [started, cut()];
  };
  const awayForAWhile: Try = (clock) => {
    clock.advance(10_000);
    return [cut()];
  };

  it("is waited for from each break anew, however long the call takes", async () => {
    const { finished, tries } = await callThrough({
      calls: [() => [cut()], healthyForAWhile, () => [cut()], () => [result]],
    });
    expect(finished.outcome).toBe(ToolOutcome.SUCCEEDED);
    expect(tries).toEqual({ calls: 4, reattaches: 0 });
  });

  it("is given up when nothing was heard of the router for 30 s", async () => {
    const { finished, tries } = await callThrough({ calls: [awayForAWhile], reattaches: [() => [cut()]] });
    expect(finished).toMatchObject({ outcome: ToolOutcome.UNKNOWN, reason: ErrorReason.TOOL_OUTCOME_UNKNOWN });
    expect(tries).toEqual({ calls: 4, reattaches: 1 });
  });

  it("is asked for again when the router goes away while it is asked what became of the call", async () => {
    const refusal = () => [
      failure(ErrorReason.SERVER_UNAVAILABLE, "the server crashed", {
        metadata: { server: "files", problem: "crashed" },
      }),
    ];
    const { finished, tries } = await callThrough({
      calls: [() => [cut()], refusal],
      reattaches: [awayForAWhile, () => [], awayForAWhile, () => [result]],
    });
    expect(finished.outcome).toBe(ToolOutcome.SUCCEEDED);
    expect(tries).toEqual({ calls: 2, reattaches: 4 });
  });
});
