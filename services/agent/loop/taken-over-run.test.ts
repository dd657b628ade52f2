import { describe, expect, it } from "vitest";
import { DiscardReason } from "../../../gen/atoll/event/v1/block_events_pb.ts";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { obligingRouter, type RouterHandlers, runTheLoop, say, scriptedModel } from "../agent.fixture.ts";
import { RunCancelled } from "./run-ending.ts";

describe("a run that was taken over", () => {
  const half = [
    { step: 1, body: { case: "stepStarted", value: { model: scriptedModel } } },
    { step: 1, body: { case: "textDelta", value: { blockId: "1.1.0", offset: 0n, text: "half an ans" } } },
  ] as const;
  const proposal = (callId: string) =>
    ({
      step: 1,
      body: { case: "toolCallProposed", value: { callId, tool: "files.read", argumentsJson: '{"path":"a"}' } },
    }) as const;
  const usage = (stopReason: string) =>
    ({ step: 1, body: { case: "usage", value: { outputTokens: 3n, stopReason } } }) as const;
  const outcome = (callId: string) =>
    ({ step: 1, body: { case: "toolCallFinished", value: { callId, outcome: ToolOutcome.SUCCEEDED } } }) as const;

  it(`in mid-step discards the step by name and makes it again ${verifies("S8")}`, async () => {
    const { kinds, of, requests, events } = await runTheLoop({ scripts: [say("whole")], attempt: 2, log: half });
    expect(kinds[0]).toBe("stepDiscarded");
    expect(of("stepDiscarded")).toMatchObject([{ step: 1, attempt: 1, reason: DiscardReason.TAKEOVER }]);
    expect(requests[0]?.messages).toHaveLength(1);
    expect(events.filter(({ body }) => body.case === "textDelta")).toMatchObject([
      { step: 1, attempt: 2, body: { value: { blockId: "2.1.0" } } },
    ]);
  });

  it(`in mid-step leaves the step as it is when it is cancelled before something takes its place ${verifies("R2", "R4")}`, async () => {
    const control = new AbortController();
    control.abort(new RunCancelled("user:ada"));
    const { kinds } = await runTheLoop({ scripts: [], attempt: 2, log: half, signal: control.signal });
    expect(kinds).toEqual(["runFinished"]);
  });

  it("after its model call asks for the open tool calls only, under their old ids", async () => {
    const { calls, handlers } = obligingRouter();
    const log = [...half, proposal("c1"), proposal("c2"), usage("tool_use"), outcome("c1")];
    const { requests, kinds, finished } = await runTheLoop({
      scripts: [say("done")],
      attempt: 2,
      log,
      router: handlers,
    });
    expect(calls).toEqual(["c2"]);
    expect(kinds).not.toContain("stepDiscarded");
    expect(requests).toHaveLength(1);
    expect(requests[0]?.messages.at(-1)?.content).toHaveLength(2);
    expect(finished).toMatchObject({ status: RunStatus.COMPLETED, steps: 2 });
  });

  it("after its last word only ends", async () => {
    const { kinds, finished, requests } = await runTheLoop({ scripts: [], attempt: 2, log: [...half, usage("end")] });
    expect(requests).toEqual([]);
    expect(kinds).toEqual(["runFinished"]);
    expect(finished).toMatchObject({ status: RunStatus.COMPLETED, steps: 1 });
  });

  it.each([
    ["refusal", RunStatus.FAILED, ErrorReason.MODEL_REFUSED],
    ["max_tokens", RunStatus.BUDGET_EXCEEDED, ErrorReason.LIMIT_EXCEEDED],
  ])("after %s ends as it would have ended", async (stopReason, status, reason) => {
    const { finished, requests } = await runTheLoop({ scripts: [], attempt: 2, log: [...half, usage(stopReason)] });
    expect(requests).toEqual([]);
    expect(finished).toMatchObject({ status, failure: { reason } });
  });

  it("is told what became of a call that is refused now, and does not believe that it never ran", async () => {
    const { handlers } = obligingRouter();
    const refuse: RouterHandlers = {
      ...handlers,
      async *callTool() {
        yield* [];
        throw failure(ErrorReason.SERVER_UNAVAILABLE, "the server is down", {
          metadata: { server: "files", problem: "down" },
        });
      },
    };
    const log = [...half, proposal("c1"), usage("tool_use")];
    const tombstoned = await runTheLoop({ scripts: [say("ok")], attempt: 2, log, router: refuse });
    expect(tombstoned.of("toolCallFinished")).toMatchObject([
      { callId: "c1", outcome: ToolOutcome.REFUSED, reason: ErrorReason.SERVER_UNAVAILABLE },
    ]);
    const router: RouterHandlers = {
      ...refuse,
      async *reattachCall({ callId }) {
        yield { frame: { case: "result", value: { callId, outcome: ToolOutcome.SUCCEEDED } } };
      },
    };
    const remembered = await runTheLoop({ scripts: [say("ok")], attempt: 2, log, router });
    expect(remembered.of("toolCallFinished")).toMatchObject([{ callId: "c1", outcome: ToolOutcome.SUCCEEDED }]);
  });
});
