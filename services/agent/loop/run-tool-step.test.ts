import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { BlockKind } from "../../../gen/atoll/event/v1/block_events_pb.ts";
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
  say,
  stop,
  toolUse,
} from "../agent.fixture.ts";
import { RunCancelled } from "./run-ending.ts";

/** What the obliging router answers to a call. */
function callThrough(handlers: RouterHandlers, ...call: Parameters<NonNullable<RouterHandlers["callTool"]>>) {
  if (handlers.callTool === undefined) throw new Error("the router has no tools");
  return handlers.callTool(...call);
}

describe("a tool call", () => {
  it("that the router refuses is told to the model with its field paths, and the run goes on", async () => {
    const router: RouterHandlers = {
      ...obligingRouter().handlers,
      async *callTool() {
        yield* [];
        throw failure(ErrorReason.TOOL_ARGUMENTS_INVALID, "arguments break the schema", {
          fields: [{ path: "path", problem: "required" }],
        });
      },
    };
    const { of, requests, finished } = await runTheLoop({ scripts: [ask("files.read"), say("sorry")], router });
    expect(of("toolCallFinished")).toMatchObject([
      { outcome: ToolOutcome.REFUSED, reason: ErrorReason.TOOL_ARGUMENTS_INVALID },
    ]);
    expect(of("toolCallFinished")[0]?.message).toContain("path: required");
    expect(requests[1]?.messages.at(-1)).toMatchObject({ content: [{ type: "tool_result", isError: true }] });
    expect(finished?.status).toBe(RunStatus.COMPLETED);
  });

  it("whose arguments can't be read is never sent, not even by the next worker", async () => {
    const { calls, handlers } = obligingRouter();
    const scripts = [
      () => [...toolUse("files.read", {}, 0, "the arguments are no JSON"), ...stop("tool_use")],
      say("sorry"),
    ];
    const { of, kinds } = await runTheLoop({ scripts, router: handlers });
    expect(calls).toEqual([]);
    expect(of("toolCallFinished")).toMatchObject([
      { outcome: ToolOutcome.REFUSED, reason: ErrorReason.TOOL_ARGUMENTS_INVALID },
    ]);
    // A worker that dies right behind Usage has left nothing open.
    expect(kinds.indexOf("toolCallFinished")).toBeLessThan(kinds.indexOf("usage"));
  });

  it(`is sent again under the same id when the router comes back ${verifies("T1")}`, async () => {
    const { calls, handlers } = obligingRouter();
    let tries = 0;
    const router: RouterHandlers = {
      ...handlers,
      async *callTool(requests, context) {
        tries += 1;
        if (tries < 3) throw failure(ErrorReason.PEER_UNAVAILABLE, "away", { metadata: { service: "toolrouter" } });
        yield* callThrough(handlers, requests, context);
      },
    };
    const { of } = await runTheLoop({ scripts: [ask("files.read"), say("ok")], router });
    expect(tries).toBe(3);
    expect(calls).toEqual(["run_1.1.1.0"]);
    expect(of("toolCallFinished")).toMatchObject([{ outcome: ToolOutcome.SUCCEEDED }]);
  });

  it("that was sent and then refused is not called unsent: the ledger is asked", async () => {
    let tries = 0;
    const router: RouterHandlers = {
      ...obligingRouter().handlers,
      async *callTool() {
        tries += 1;
        yield* [];
        if (tries === 1) throw new ConnectError("cut", Code.Unavailable);
        throw failure(ErrorReason.SERVER_UNAVAILABLE, "the server crashed");
      },
      async *reattachCall({ callId }) {
        yield { frame: { case: "result", value: { callId, outcome: ToolOutcome.UNKNOWN } } };
      },
    };
    const { of } = await runTheLoop({ scripts: [ask("files.read"), say("ok")], router });
    expect(of("toolCallFinished")).toMatchObject([{ outcome: ToolOutcome.UNKNOWN }]);
  });

  it.each([
    ["a fault of the router", () => failure(ErrorReason.INTERNAL, "a fault of ours")],
    ["a deadline", () => failure(ErrorReason.DEADLINE_EXCEEDED, "too long")],
    ["an error without a reason", () => new ConnectError("what", Code.Internal)],
  ])(`that ends with %s may have had its effect, and the model is told so ${verifies("T1")}`, async (_case, error) => {
    const router: RouterHandlers = {
      ...obligingRouter().handlers,
      async *callTool() {
        yield* [];
        throw error();
      },
      async *reattachCall() {
        yield* [];
        throw error();
      },
    };
    const { of } = await runTheLoop({ scripts: [ask("files.read"), say("ok")], router });
    expect(of("toolCallFinished")).toMatchObject([
      { outcome: ToolOutcome.UNKNOWN, reason: ErrorReason.TOOL_OUTCOME_UNKNOWN },
    ]);
    expect(of("toolCallFinished")[0]?.message).toMatch(/not known whether/);
  });
});

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

const outcomeName = (outcome: ToolOutcome) =>
  Object.entries(ToolOutcome).find(([, number]) => number === outcome)?.[0] ?? "";

/** Each call that was proposed has one outcome, in front of RunFinished. */
function outcomesOf({ kinds, of }: Awaited<ReturnType<typeof runTheLoop>>) {
  expect(kinds.indexOf("runFinished")).toBe(kinds.length - 1);
  const outcomes = of("toolCallFinished").map(({ callId, outcome }) => [callId, outcomeName(outcome)]);
  expect(outcomes).toHaveLength(new Set(outcomes.map(([callId]) => callId)).size);
  return Object.fromEntries(outcomes) as Record<string, string>;
}

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
      throw failure(ErrorReason.MODEL_UNAVAILABLE, "broke");
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
        { step: 1, body: { case: "stepStarted", value: { model: "scripted" } } },
        ...callIds.map((callId) => ({
          step: 1,
          body: {
            case: "toolCallProposed" as const,
            value: { callId, tool: "files.read", argumentsJson: JSON.stringify({}) },
          },
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

describe(`a call that had started and that the router does not know any more ${verifies("FL6", "T1")}`, () => {
  const tombstoned: RouterHandlers["reattachCall"] = async function* ({ callId }) {
    yield* [];
    throw failure(ErrorReason.CALL_TOMBSTONED, "never seen", { metadata: { call_id: callId } });
  };

  it("is asked for by the next worker as one that had started", async () => {
    const asked: [string, boolean][] = [];
    const { handlers } = obligingRouter();
    const router: RouterHandlers = {
      ...handlers,
      async *callTool(requests) {
        for await (const { frame } of requests) {
          if (frame.case !== "call") continue;
          const { callId, hasStarted } = frame.value;
          asked.push([callId, hasStarted]);
          yield { frame: { case: "result", value: { callId, outcome: ToolOutcome.UNKNOWN } } };
          return;
        }
      },
    };
    await runTheLoop({
      scripts: [say("ok")],
      router,
      attempt: 2,
      log: [
        { step: 1, body: { case: "stepStarted", value: { model: "scripted" } } },
        {
          step: 1,
          body: {
            case: "toolCallProposed",
            value: { callId: "c1", tool: "files.read", argumentsJson: JSON.stringify({}) },
          },
        },
        {
          step: 1,
          body: {
            case: "toolCallProposed",
            value: { callId: "c2", tool: "files.read", argumentsJson: JSON.stringify({}) },
          },
        },
        { step: 1, body: { case: "usage", value: { stopReason: "tool_use" } } },
        { step: 1, body: { case: "toolCallStarted", value: { callId: "c1", tool: "files.read" } } },
      ],
    });
    expect(asked.toSorted(([one], [other]) => one.localeCompare(other))).toEqual([
      ["c1", true],
      ["c2", false],
    ]);
  });

  it.each([
    ["whose server is down", () => failure(ErrorReason.SERVER_UNAVAILABLE, "starting")],
    ["whose tool is gone", () => failure(ErrorReason.TOOL_NOT_FOUND, "no such tool")],
    ["which refuses the call", () => new ConnectError("too large", Code.ResourceExhausted)],
  ])("is unknown also with a router %s", async (_case, refusal) => {
    let tries = 0;
    const router: RouterHandlers = {
      ...obligingRouter().handlers,
      async *callTool(requests) {
        for await (const { frame } of requests) {
          if (frame.case !== "call") continue;
          tries += 1;
          expect(frame.value.hasStarted).toBe(tries > 1);
          if (tries > 1) throw refusal();
          const { callId, tool } = frame.value;
          yield { frame: { case: "started", value: { callId, tool } } };
          throw new ConnectError("cut", Code.Unavailable);
        }
      },
      ...(tombstoned === undefined ? {} : { reattachCall: tombstoned }),
    };
    const loop = await runTheLoop({ scripts: [ask("files.read"), say("ok")], router });
    expect(tries).toBe(2);
    expect(outcomesOf(loop)).toEqual({ "run_1.1.1.0": "UNKNOWN" });
  });
});

describe(`a call that was never let through is refused, not unknown ${verifies("F3")}`, () => {
  it.each([
    ["a request that is too large", new ConnectError("message is larger than 4194304", Code.ResourceExhausted)],
    ["a request that can't be decoded", new ConnectError("nested too deeply", Code.InvalidArgument)],
    ["a caller without a token", new ConnectError("a valid token is required", Code.Unauthenticated)],
    ["a method that is not there", new ConnectError("not found", Code.Unimplemented)],
    ["a field out of its rule", failure(ErrorReason.FIELD_INVALID, "call.tool: too long")],
    ["too many calls", failure(ErrorReason.LIMIT_EXCEEDED, "1000 calls are running")],
  ])("%s", async (_case, error) => {
    const router: RouterHandlers = {
      ...obligingRouter().handlers,
      async *callTool() {
        yield* [];
        throw error;
      },
      async *reattachCall() {
        yield* [];
        throw new Error("nobody needs to ask");
      },
    };
    const loop = await runTheLoop({ scripts: [ask("files.read"), say("ok")], router });
    expect(outcomesOf(loop)).toEqual({ "run_1.1.1.0": "REFUSED" });
    expect(loop.finished?.status).toBe(RunStatus.COMPLETED);
  });
});

describe("reasoning", () => {
  it("is written with its signature and goes back to the model as it came", async () => {
    const signature = new Uint8Array([1, 2, 3]);
    const think = () => [
      { kind: "block-start", index: 0, block: "thinking" } as const,
      { kind: "thinking", index: 0, text: "hmm" } as const,
      { kind: "block-stop", index: 0, block: "thinking", signature, redacted: false } as const,
      ...toolUse("files.read"),
      ...stop("tool_use"),
    ];
    const { of, requests } = await runTheLoop({ scripts: [think, say("ok")] });
    expect(of("thinkingDelta")).toMatchObject([{ text: "hmm" }]);
    expect(of("blockCompleted")[0]).toMatchObject({ kind: BlockKind.THINKING, signature });
    expect(requests[1]?.messages[1]?.content[0]).toEqual({ type: "thinking", text: "hmm", signature, redacted: false });
  });
});
