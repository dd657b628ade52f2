import { create, toBinary } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { RunRequestSchema, type RunResponse, RunResponseSchema } from "../../../gen/atoll/agent/v1/agent_service_pb.ts";
import { ContentBlockSchema } from "../../../gen/atoll/content/v1/content_block_pb.ts";
import { ToolOutcome } from "../../../gen/atoll/event/v1/tool_events_pb.ts";
import type { CallToolRequest } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { localTenant } from "../../kernel/auth/principal.ts";
import { createLog } from "../../kernel/log.ts";
import { manualClock } from "../../kernel/manual-clock.fixture.ts";
import { callValues } from "../../kernel/rpc/call-context.ts";
import { agent, ask, say, scriptedModels } from "../agent.fixture.ts";
import type { AgentDeps } from "../agent-deps.ts";
import { ToolList } from "../tools/tool-list.ts";
import { runAlone } from "./run-alone.ts";

const endOfTick = () => new Promise((resolve) => setImmediate(resolve));

const log = createLog({ level: "error", format: "json", destination: { write: () => undefined } });
const listTools = async () => ({
  tools: [{ name: "files.read", description: "Reads." }],
  unavailable: [],
  nextPageToken: "",
});

/** The responses of a run whose model asks for files.read as often as `calls` says, and then is done. */
function runWith(callTool: unknown, calls = 1, clock = manualClock()): AsyncGenerator<RunResponse> {
  const tools = Array.from({ length: calls }, () => "files.read");
  const deps: AgentDeps = {
    session: undefined as never,
    toolRouter: { listTools, callTool } as unknown as AgentDeps["toolRouter"],
    models: scriptedModels([ask(...tools), say("done")]).models,
    agents: new Map([["main", agent]]),
    defaultAgent: "main",
    clock,
    log,
    deltaWindowMs: 0,
    cachedSessions: 1,
  };
  const principal = {
    tenant: localTenant,
    name: "user:ada",
    scopes: new Set<never>(),
    origin: undefined,
    run: undefined,
  };
  const context = {
    values: callValues(principal, ""),
    signal: new AbortController().signal,
    timeoutMs: () => undefined,
  } as unknown as HandlerContext;
  const requests = async function* () {
    yield create(RunRequestSchema, { frame: { case: "start", value: { message: {} } } });
    await new Promise(() => undefined);
  };
  return runAlone(deps, new ToolList(deps), requests(), context);
}

describe("a run on its own", () => {
  it(`makes a tool that reports progress wait for a caller that does not read ${verifies("L7")}`, async () => {
    const clock = manualClock();
    const reports = 400;
    let reported = 0;
    async function* callTool() {
      const callId = "c1";
      for (; reported < reports; reported++) {
        yield { frame: { case: "progress", value: { callId, progress: reported } } };
        clock.advance(100);
        await endOfTick();
      }
      yield {
        frame: { case: "result", value: { callId, outcome: ToolOutcome.SUCCEEDED, content: [], message: "" } },
      };
    }
    const reader = runWith(callTool, 1, clock);
    const heard: (RunResponse | undefined)[] = [(await reader.next()).value ?? undefined];
    for (let tick = 0; tick < 600; tick++) await endOfTick();
    expect(reported).toBeGreaterThan(50);
    expect(reported).toBeLessThan(100);
    for await (const response of reader) heard.push(response);
    const events = heard.flatMap((response) => response?.events ?? []);
    expect(events.map(({ seq }) => Number(seq))).toEqual(events.map((_, n) => n + 1));
    expect(events.filter(({ body }) => body.case === "toolProgress")).toHaveLength(reports);
  });

  it(`tells answers that are large together in responses that any client takes ${verifies("L7")}`, async () => {
    async function* callTool(frames: AsyncIterable<CallToolRequest>) {
      for await (const { frame } of frames) {
        if (frame.case !== "call") continue;
        const { callId } = frame.value;
        const answer = create(ContentBlockSchema, {
          block: { case: "text", value: { text: "x".repeat(900_000) } },
        });
        yield {
          frame: { case: "result", value: { callId, outcome: ToolOutcome.SUCCEEDED, content: [answer], message: "" } },
        };
        return;
      }
    }
    const sizes: number[] = [];
    const outcomes: string[] = [];
    for await (const response of runWith(callTool, 6)) {
      sizes.push(toBinary(RunResponseSchema, response).length);
      for (const { body } of response.events) if (body.case === "toolCallFinished") outcomes.push(body.value.callId);
    }
    expect(new Set(outcomes).size).toBe(6);
    expect(Math.max(...sizes)).toBeGreaterThan(900_000);
    expect(Math.max(...sizes)).toBeLessThan(2 * 1_048_576);
  });
});
