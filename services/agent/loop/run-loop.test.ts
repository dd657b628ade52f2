import { describe, expect, it } from "vitest";
import { DiscardReason } from "../../../gen/atoll/event/v1/block_events_pb.ts";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import {
  ask,
  hang,
  obligingRouter,
  type RouterHandlers,
  runTheLoop,
  say,
  stop,
  text,
  toolUse,
} from "../agent.fixture.ts";
import { RunCancelled, RunLost } from "./run-ending.ts";

const unavailable = () => failure(ErrorReason.MODEL_UNAVAILABLE, "overloaded", { metadata: { status: "529" } });

/** What the obliging router answers to a call. */
function callThrough(handlers: RouterHandlers, ...call: Parameters<NonNullable<RouterHandlers["callTool"]>>) {
  if (handlers.callTool === undefined) throw new Error("the router has no tools");
  return handlers.callTool(...call);
}

describe("the loop", () => {
  it("goes model → tools → model and ends when the model asks for nothing", async () => {
    const { calls, handlers } = obligingRouter();
    const scripts = [
      () => [...text("let me see"), ...toolUse("files.read", { path: "a" }), ...stop("tool_use")],
      say("it says hello"),
    ];
    const { kinds, requests, finished, events } = await runTheLoop({ scripts, router: handlers });
    expect(kinds).toEqual([
      "phaseChanged",
      "stepStarted",
      "textDelta",
      "blockCompleted",
      "toolCallProposed",
      "usage",
      "phaseChanged",
      "toolCallStarted",
      "toolCallFinished",
      "phaseChanged",
      "stepStarted",
      "textDelta",
      "blockCompleted",
      "usage",
      "runFinished",
    ]);
    expect(events.map(({ step }) => step)).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 0]);
    expect(calls).toEqual(["run_1.1.1.1"]);
    expect(requests[1]?.messages).toMatchObject([
      { role: "user", content: [{ text: "please" }] },
      {
        role: "assistant",
        content: [{ text: "let me see" }, { type: "tool_use", tool: "files.read", arguments: { path: "a" } }],
      },
      {
        role: "user",
        content: [
          { type: "tool_result", callId: "run_1.1.1.1", isError: false, content: [{ text: "files.read did it" }] },
        ],
      },
    ]);
    expect(finished).toMatchObject({ status: RunStatus.COMPLETED, steps: 2 });
  });

  it("shows the model the tools that the agent may use", async () => {
    const { requests } = await runTheLoop({ scripts: [say("ok")], agent: { tools: ["files.*"] } });
    expect(requests[0]?.tools.map(({ name }) => name)).toEqual(["files.read"]);
    expect(requests[0]).toMatchObject({ instructions: "Be brief.", maxOutputTokens: 1_000 });
  });

  it(`has the proposals in the log before the router is asked ${verifies("L5")}`, async () => {
    const { handlers } = obligingRouter();
    const seen: string[] = [];
    const router: RouterHandlers = {
      ...handlers,
      async *callTool(requests, context) {
        seen.push("called");
        yield* callThrough(handlers, requests, context);
      },
    };
    await runTheLoop({
      scripts: [ask("files.read", "web.get"), say("ok")],
      router,
      onEvent: ({ body }) => void seen.push(body.case ?? ""),
    });
    expect(seen.indexOf("called")).toBeGreaterThan(seen.lastIndexOf("toolCallProposed"));
    expect(seen.filter((each) => each === "called")).toHaveLength(2);
  });

  it(`runs at most the agent's number of tools at a time ${verifies("L7")}`, async () => {
    const { handlers } = obligingRouter();
    let now = 0;
    let most = 0;
    const router: RouterHandlers = {
      ...handlers,
      async *callTool(requests, context) {
        now += 1;
        most = Math.max(most, now);
        await new Promise((resolve) => setTimeout(resolve, 5));
        // A reader leaves with the result: what comes behind it may never run.
        for await (const each of callThrough(handlers, requests, context)) {
          if (each.frame?.case === "result") now -= 1;
          yield each;
        }
      },
    };
    const tools = Array.from({ length: 7 }, () => "files.read");
    const { of } = await runTheLoop({ scripts: [ask(...tools), say("ok")], router, agent: { parallelTools: 3 } });
    expect(of("toolCallFinished")).toHaveLength(7);
    expect(most).toBe(3);
  });

  it("goes on after a pause of the model", async () => {
    const { finished, requests } = await runTheLoop({
      scripts: [() => [...text("first"), ...stop("pause")], say("second")],
    });
    expect(requests).toHaveLength(2);
    expect(finished).toMatchObject({ status: RunStatus.COMPLETED, steps: 2 });
  });
});

describe("a run that was taken over", () => {
  const half = [
    { step: 1, body: { case: "stepStarted", value: { model: "scripted" } } },
    { step: 1, body: { case: "textDelta", value: { blockId: "1.1.0", offset: 0n, text: "half an ans" } } },
  ] as const;
  const proposal = (callId: string) =>
    ({
      step: 1,
      body: { case: "toolCallProposed", value: { callId, tool: "files.read", arguments: { path: "a" } } },
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
        throw failure(ErrorReason.SERVER_UNAVAILABLE, "the server is down");
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

describe("a model that fails", () => {
  it("in mid-step has its step discarded and made again", async () => {
    const broken = async function* () {
      yield* text("half an");
      throw unavailable();
    };
    const { of, finished, requests, events } = await runTheLoop({ scripts: [broken, say("whole")] });
    expect(of("stepDiscarded")).toMatchObject([{ step: 1, attempt: 1, reason: DiscardReason.MODEL_RETRY }]);
    expect(requests[1]?.messages).toEqual(requests[0]?.messages);
    expect(finished).toMatchObject({ status: RunStatus.COMPLETED, steps: 1 });
    expect(events.findIndex(({ body }) => body.case === "stepDiscarded")).toBeLessThan(
      events.findLastIndex(({ body }) => body.case === "stepStarted"),
    );
  });

  it("again and again ends the run with its reason", async () => {
    const broken = async function* () {
      yield* text("half an");
      throw unavailable();
    };
    const { of, finished, requests } = await runTheLoop({ scripts: [broken, broken, broken, broken] });
    expect(requests).toHaveLength(3);
    expect(of("stepDiscarded")).toHaveLength(2);
    expect(finished).toMatchObject({
      status: RunStatus.FAILED,
      failure: {
        reason: ErrorReason.MODEL_UNAVAILABLE,
        message: "overloaded",
        metadata: { status: "529" },
        retryable: true,
      },
    });
  });

  it("for good is not asked again", async () => {
    const refuse = () => {
      throw failure(ErrorReason.MODEL_REFUSED, "no credit", { metadata: { status: "400" } });
    };
    const { finished, requests } = await runTheLoop({ scripts: [refuse, say("never")] });
    expect(requests).toHaveLength(1);
    expect(finished).toMatchObject({
      status: RunStatus.FAILED,
      failure: { reason: ErrorReason.MODEL_REFUSED, retryable: false },
    });
  });

  it("with an error of ours ends the run without a word of it", async () => {
    const crash = () => {
      throw new TypeError("password=hunter2");
    };
    const { finished, logLines } = await runTheLoop({ scripts: [crash] });
    expect(finished).toMatchObject({ status: RunStatus.FAILED, failure: { reason: ErrorReason.INTERNAL } });
    expect(finished?.failure?.message).not.toContain("hunter2");
    expect(logLines.join("")).toContain("TypeError");
  });

  it("that nobody serves ends the run with its name", async () => {
    const { finished } = await runTheLoop({ scripts: [], options: { model: "gpt-0" } });
    expect(finished).toMatchObject({
      status: RunStatus.FAILED,
      failure: { reason: ErrorReason.MODEL_NOT_FOUND, metadata: { model: "gpt-0" } },
    });
  });

  it.each(["refusal", "context_full"] as const)("by %s ends the run as MODEL_REFUSED", async (reason) => {
    const { finished } = await runTheLoop({ scripts: [() => [...text("I can't"), ...stop(reason)]] });
    expect(finished).toMatchObject({ status: RunStatus.FAILED, failure: { reason: ErrorReason.MODEL_REFUSED } });
  });
});

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
