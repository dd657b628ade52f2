import { describe, expect, it } from "vitest";
import { DiscardReason } from "../../../gen/atoll/event/v1/block_events_pb.ts";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import {
  ask,
  callThrough,
  obligingRouter,
  type RouterHandlers,
  runTheLoop,
  say,
  stop,
  text,
  toolUse,
} from "../agent.fixture.ts";

const unavailable = () =>
  failure(ErrorReason.MODEL_UNAVAILABLE, "overloaded", {
    metadata: { model: "test/scripted", status: "529", problem: "overloaded_error" },
  });

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
      throw failure(ErrorReason.MODEL_REFUSED, "no credit", {
        metadata: { model: "test/scripted", status: "400", problem: "billing_error" },
      });
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
