import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { ask, obligingRouter, type RouterHandlers, runTheLoop, say, scriptedModel } from "../agent.fixture.ts";
import { outcomesOf } from "./run-tool-step.fixture.ts";

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
        { step: 1, body: { case: "stepStarted", value: { model: scriptedModel } } },
        {
          step: 1,
          body: { case: "toolCallProposed", value: { callId: "c1", tool: "files.read", argumentsJson: "{}" } },
        },
        {
          step: 1,
          body: { case: "toolCallProposed", value: { callId: "c2", tool: "files.read", argumentsJson: "{}" } },
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
    [
      "whose server is down",
      () => failure(ErrorReason.SERVER_UNAVAILABLE, "starting", { metadata: { server: "files", problem: "starting" } }),
    ],
    [
      "whose tool is gone",
      () => failure(ErrorReason.TOOL_NOT_FOUND, "no such tool", { metadata: { tool: "files.read" } }),
    ],
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
    [
      "a field out of its rule",
      failure(ErrorReason.FIELD_INVALID, "call.tool: too long", {
        fields: [{ path: "call.tool", problem: "too long" }],
      }),
    ],
    ["too many calls", failure(ErrorReason.LIMIT_EXCEEDED, "1000 calls are running", { metadata: { limit: "1000" } })],
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
