import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { BlockKind } from "../../../gen/atoll/event/v1/block_events_pb.ts";
import { RunStatus } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
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
  toolUse,
} from "../agent.fixture.ts";

describe("a tool call", () => {
  it("that the router refuses is told to the model with its field paths, and the run goes on", async () => {
    const router: RouterHandlers = {
      ...obligingRouter().handlers,
      async *callTool() {
        yield* [];
        throw failure(ErrorReason.TOOL_ARGUMENTS_INVALID, "arguments break the schema", {
          metadata: { tool: "files.read" },
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
        throw failure(ErrorReason.SERVER_UNAVAILABLE, "the server crashed", {
          metadata: { server: "files", problem: "crashed" },
        });
      },
      async *reattachCall({ callId }) {
        yield { frame: { case: "result", value: { callId, outcome: ToolOutcome.UNKNOWN } } };
      },
    };
    const { of } = await runTheLoop({ scripts: [ask("files.read"), say("ok")], router });
    expect(of("toolCallFinished")).toMatchObject([{ outcome: ToolOutcome.UNKNOWN }]);
  });

  it.each([
    ["a fault of the router", () => failure(ErrorReason.INTERNAL, "a fault of ours", { metadata: { trace_id: "" } })],
    ["a deadline", () => failure(ErrorReason.DEADLINE_EXCEEDED, "too long", { metadata: { timeout_ms: "1" } })],
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
