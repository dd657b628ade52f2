import { describe, expect, it } from "vitest";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import { ask, hang, obligingRouter, type RouterHandlers, runTheLoop } from "../agent.fixture.ts";
import { RunCancelled, RunLost } from "./run-ending.ts";

describe("a run that is cancelled", () => {
  it("in a model call ends as CANCELLED by whom, and what was said stays", async () => {
    const control = new AbortController();
    const { finished, of } = await runTheLoop({
      scripts: [hang],
      signal: control.signal,
      onEvent: ({ body }) => body.case === "blockCompleted" && control.abort(new RunCancelled("user:ada")),
    });
    expect(finished).toMatchObject({ status: RunStatus.CANCELLED, cancelledBy: "user:ada" });
    expect(of("textDelta")).toHaveLength(1);
  });

  /** Starts a call and answers it only when it is cancelled, or never. */
  function slowRouter(answersCancel: boolean) {
    const heard: string[] = [];
    const router: RouterHandlers = {
      ...obligingRouter().handlers,
      async *callTool(requests, context) {
        context.signal.addEventListener("abort", () => heard.push("left"));
        for await (const { frame } of requests) {
          heard.push(frame.case ?? "");
          if (frame.case === "call")
            yield { frame: { case: "started", value: { callId: frame.value.callId, tool: frame.value.tool } } };
          if (frame.case === "cancel" && answersCancel) {
            yield { frame: { case: "result", value: { callId: "run_1.1.1.0", outcome: ToolOutcome.CANCELLED } } };
            return;
          }
        }
        await new Promise(() => undefined);
      },
    };
    return { heard, router };
  }

  it("in a tool call cancels the call and writes its outcome first", async () => {
    const control = new AbortController();
    const { heard, router } = slowRouter(true);
    const { finished, kinds, of } = await runTheLoop({
      scripts: [ask("files.read")],
      router,
      signal: control.signal,
      onEvent: ({ body }) => body.case === "toolCallStarted" && control.abort(new RunCancelled("user:ada")),
    });
    expect(heard.slice(0, 2)).toEqual(["call", "cancel"]);
    expect(of("toolCallFinished")).toMatchObject([{ outcome: ToolOutcome.CANCELLED }]);
    expect(kinds.slice(-2)).toEqual(["toolCallFinished", "runFinished"]);
    expect(finished).toMatchObject({ status: RunStatus.CANCELLED, cancelledBy: "user:ada" });
  });

  it("waits for a router that does not answer for a bounded time", async () => {
    const control = new AbortController();
    const { heard, router } = slowRouter(false);
    const { finished } = await runTheLoop({
      scripts: [ask("files.read")],
      router,
      signal: control.signal,
      onEvent: ({ body }) => body.case === "toolCallStarted" && control.abort(new RunCancelled("user:ada")),
    });
    expect(heard).toContain("left");
    expect(finished).toMatchObject({ status: RunStatus.CANCELLED });
  });

  it("is left alone with its tool calls when it is somebody else's now", async () => {
    const control = new AbortController();
    const { heard, router } = slowRouter(true);
    const { error, kinds } = await runTheLoop({
      scripts: [ask("files.read")],
      router,
      signal: control.signal,
      onEvent: ({ body }) => body.case === "toolCallStarted" && control.abort(new RunLost("offered again")),
    });
    expect(error).toBeInstanceOf(RunLost);
    expect(heard).not.toContain("cancel");
    expect(kinds).not.toContain("runFinished");
  });
});
