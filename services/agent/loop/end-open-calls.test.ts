import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import {
  ask,
  type ModelScript,
  obligingRouter,
  type RouterHandlers,
  runTheLoop,
  scriptedModel,
  stop,
  toolUse,
} from "../agent.fixture.ts";
import { RunCancelled } from "./run-ending.ts";
import { outcomesOf } from "./run-tool-step.fixture.ts";

describe("a run that is cancelled with calls still to make", () => {
  it(`begins no more of them, and has the outcome of each in its log before it ends ${verifies("FL4", "F3")}`, async () => {
    const control = new AbortController();
    let began = 0;
    const router: RouterHandlers = {
      ...obligingRouter().handlers,
      async *callTool(requests) {
        let callId = "";
        for await (const { frame } of requests) {
          if (frame.case === "call") {
            callId = frame.value.callId;
            yield { frame: { case: "started", value: { callId, tool: frame.value.tool } } };
            continue;
          }
          // The first call ends at once, the other one takes a while.
          if (callId.endsWith(".1")) await new Promise((resolve) => setTimeout(resolve, 50));
          yield { frame: { case: "result", value: { callId, outcome: ToolOutcome.CANCELLED } } };
          return;
        }
      },
    };
    const { finished, kinds, of } = await runTheLoop({
      scripts: [ask("files.read", "web.get", "files.read")],
      router,
      signal: control.signal,
      agent: { parallelTools: 2 },
      onEvent: ({ body }) => {
        if (body.case === "toolCallStarted") began += 1;
        if (began === 2) control.abort(new RunCancelled("user:ada"));
      },
    });
    expect(of("toolCallStarted").map(({ callId }) => callId)).toEqual(["run_1.1.1.0", "run_1.1.1.1"]);
    expect(of("toolCallFinished")).toMatchObject([
      { callId: "run_1.1.1.0", outcome: ToolOutcome.CANCELLED },
      { callId: "run_1.1.1.1", outcome: ToolOutcome.CANCELLED },
      { callId: "run_1.1.1.2", outcome: ToolOutcome.CANCELLED },
    ]);
    expect(of("toolCallFinished")[2]?.message).toMatch(/never reached the tool/);
    expect(kinds.at(-1)).toBe("runFinished");
    expect(finished).toMatchObject({ status: RunStatus.CANCELLED, cancelledBy: "user:ada" });
  });
});

describe(`each call of a run that ends has one outcome ${verifies("FL4", "F3")}`, () => {
  const cancelled = new RunCancelled("user:ada");

  it("unknown, when the router is gone while the run is cancelled", async () => {
    const control = new AbortController();
    const router: RouterHandlers = {
      ...obligingRouter().handlers,
      async *callTool(requests) {
        for await (const { frame } of requests) {
          if (frame.case !== "call") throw new ConnectError("cut", Code.Unavailable);
          const { callId, tool } = frame.value;
          yield { frame: { case: "started", value: { callId, tool } } };
        }
      },
    };
    const loop = await runTheLoop({
      scripts: [ask("files.read", "web.get", "web.get")],
      router,
      agent: { parallelTools: 1 },
      signal: control.signal,
      onEvent: ({ body }) => {
        if (body.case === "toolCallStarted") control.abort(cancelled);
      },
    });
    expect(loop.finished?.status).toBe(RunStatus.CANCELLED);
    expect(outcomesOf(loop)).toEqual({
      "run_1.1.1.0": "UNKNOWN",
      "run_1.1.1.1": "CANCELLED",
      "run_1.1.1.2": "CANCELLED",
    });
  });

  it("cancelled, when the model's answer broke and the run is cancelled before it is asked again", async () => {
    const control = new AbortController();
    const half: ModelScript = function* () {
      yield* toolUse("files.read", {}, 0);
      yield* toolUse("files.read", {}, 1, "no JSON");
      throw failure(ErrorReason.MODEL_UNAVAILABLE, "broke", { metadata: { model: "test/scripted" } });
    };
    const loop = await runTheLoop({
      scripts: [half],
      signal: control.signal,
      onEvent: ({ body }) => {
        if (body.case === "toolCallProposed") setTimeout(() => control.abort(cancelled), 50);
      },
    });
    expect(outcomesOf(loop)).toEqual({ "run_1.1.1.0": "CANCELLED", "run_1.1.1.1": "REFUSED" });
  });

  it("cancelled, when the model was cut off before the calls could be made", async () => {
    const scripts = [() => [...toolUse("files.read", {}, 0), ...stop("max_tokens")]];
    const loop = await runTheLoop({ scripts });
    expect(loop.finished?.status).toBe(RunStatus.BUDGET_EXCEEDED);
    expect(outcomesOf(loop)).toEqual({ "run_1.1.1.0": "CANCELLED" });
  });

  it("what the router says, when an earlier worker had begun it", async () => {
    const control = new AbortController();
    control.abort(cancelled);
    const callIds = ["known", "started", "never", "silent"];
    const router: RouterHandlers = {
      ...obligingRouter().handlers,
      async *reattachCall({ callId }, { signal }) {
        if (callId === "known") yield { frame: { case: "result", value: { callId, outcome: ToolOutcome.SUCCEEDED } } };
        else if (callId === "silent") await new Promise((resolve) => signal.addEventListener("abort", resolve));
        else throw failure(ErrorReason.CALL_TOMBSTONED, "never seen", { metadata: { call_id: callId } });
      },
    };
    const loop = await runTheLoop({
      scripts: [],
      router,
      attempt: 2,
      signal: control.signal,
      log: [
        { step: 1, body: { case: "stepStarted", value: { model: scriptedModel } } },
        ...callIds.map((callId) => ({
          step: 1,
          body: { case: "toolCallProposed" as const, value: { callId, tool: "files.read", argumentsJson: "{}" } },
        })),
        { step: 1, body: { case: "usage", value: { stopReason: "tool_use" } } },
        { step: 1, body: { case: "toolCallStarted", value: { callId: "started", tool: "files.read" } } },
      ],
    });
    expect(outcomesOf(loop)).toEqual({
      known: "SUCCEEDED",
      started: "UNKNOWN",
      never: "CANCELLED",
      silent: "UNKNOWN",
    });
  });
});
