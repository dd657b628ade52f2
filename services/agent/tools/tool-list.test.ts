import {
  type CallOptions,
  ConnectError,
  type ConnectRouter,
  createClient,
  createRouterTransport,
} from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { ToolState } from "../../../gen/atoll/tool/v1/tool_pb.ts";
import { ToolRouterService } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { verifies } from "../../../test/requirements.ts";
import { systemClock } from "../../kernel/clock.ts";
import { ErrorReason, failure, failureFacts } from "../../kernel/errors.ts";
import { createLog } from "../../kernel/log.ts";
import { agent } from "../agent.fixture.ts";
import type { AgentDeps } from "../agent-deps.ts";
import { RunCancelled } from "../loop/run-ending.ts";
import { ToolList } from "./tool-list.ts";

describe("a list of tools that is slow to come", () => {
  it(`is not waited for by a run that was cancelled, and comes to the others that wait ${verifies("R5")}`, async () => {
    const answer = Promise.withResolvers<object>();
    let reads = 0;
    const toolRouter = {
      listTools: () => {
        reads += 1;
        return answer.promise;
      },
    } as unknown as AgentDeps["toolRouter"];
    const log = createLog({ level: "error", format: "json", destination: { write: () => undefined } });
    const tools = new ToolList({ toolRouter, clock: systemClock, log });
    const control = new AbortController();
    const cancelled = tools.read("user:ada", agent, {}, control.signal);
    const other = tools.read("user:ada", agent, {}, new AbortController().signal);
    control.abort(new RunCancelled("user:ada"));
    await expect(cancelled).rejects.toThrow(RunCancelled);
    answer.resolve({ tools: [{ name: "files.read", description: "Reads." }], unavailable: [], nextPageToken: "" });
    expect((await other).map(({ name }) => name)).toEqual(["files.read"]);
    expect(reads).toBe(1);
  });
});

describe("the tools that a model is shown", () => {
  const all = [
    { name: "files.read", state: ToolState.READY },
    { name: "files.bad", state: ToolState.UNUSABLE },
    { name: "files.new", state: ToolState.PENDING },
    { name: "files.changed", state: ToolState.QUARANTINED },
    { name: "web.get", state: ToolState.READY },
  ];
  const log = createLog({ level: "error", format: "json", destination: { write: () => undefined } });

  it.each<[readonly string[], readonly string[]]>([
    [["*"], ["files.read", "web.get"]],
    [["files.*"], ["files.read"]],
    [[], []],
    [[""], []],
    [["nobody.*"], []],
    [["*.*e*"], ["files.read", "web.get"]],
  ])(`of %j are %j: none that can't be called ${verifies("E13")}`, async (patterns, names) => {
    const routes = ({ service }: ConnectRouter) =>
      service(ToolRouterService, { listTools: ({ includeUnusable }) => ({ tools: includeUnusable ? [] : all }) });
    const toolRouter = createClient(ToolRouterService, createRouterTransport(routes));
    const tools = new ToolList({ toolRouter, clock: systemClock, log });
    const shown = await tools.read("user:ada", { ...agent, tools: patterns }, {}, new AbortController().signal);
    expect(shown.map(({ name }) => name)).toEqual(names);
  });
});

describe("a list of tools that several runs share", () => {
  const log = createLog({ level: "error", format: "json", destination: { write: () => undefined } });
  const listed = { tools: [{ name: "files.read", state: ToolState.READY }], unavailable: [], nextPageToken: "" };

  it.each([ErrorReason.EPOCH_FENCED, ErrorReason.RUN_FINISHED, ErrorReason.RUN_NOT_FOUND])(
    `comes to each run that goes on, however many of them have ended meanwhile (reason %s) ${verifies("R4")}`,
    async (reason) => {
      const live = new Set(["third", "fourth"]);
      const metadata = { run_id: "run_1", epoch: "2", status: "COMPLETED" };
      const toolRouter = {
        async listTools(_request: object, { headers }: CallOptions) {
          await new Promise((resolve) => setTimeout(resolve, 5));
          if (live.has(new Headers(headers).get("run") ?? "")) return listed;
          throw failure(reason, "another epoch has the run", { metadata });
        },
      } as unknown as AgentDeps["toolRouter"];
      const tools = new ToolList({ toolRouter, clock: systemClock, log });
      const read = (run: string) =>
        tools.read("user:ada", agent, { headers: { run } }, new AbortController().signal).then(
          (shown) => shown.map(({ name }) => name),
          (error: unknown) => failureFacts(ConnectError.from(error)).reason,
        );
      const shown = await Promise.all(["first", "second", "third", "fourth"].map(read));
      expect(shown).toEqual([reason, reason, ["files.read"], ["files.read"]]);
    },
  );
});
