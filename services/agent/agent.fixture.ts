/** An agent's loop with a scripted model and scripted tools behind real transports, for tests. */
import { fromBinary } from "@bufbuild/protobuf";
import { createClient, createRouterTransport, type ServiceImpl } from "@connectrpc/connect";
import { type Event, EventSchema } from "../../gen/atoll/event/v1/event_pb.ts";
import { QueueMode } from "../../gen/atoll/event/v1/run_events_pb.ts";
import { ToolOutcome } from "../../gen/atoll/event/v1/tool_events_pb.ts";
import type { RunOptions } from "../../gen/atoll/session/v1/run_pb.ts";
import { ToolRouterService } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { type Clock, systemClock } from "../kernel/clock.ts";
import { ErrorReason, failure } from "../kernel/errors.ts";
import { type EventBody, encodeEvent } from "../kernel/event/encode-event.ts";
import { encodeEventTime, stampEvent } from "../kernel/event/wire/stamp-event.ts";
import { createLog } from "../kernel/log.ts";
import type { AgentDeps, AgentSettings } from "./agent-deps.ts";
import { EventWriter } from "./loop/event-writer.ts";
import { runLoop } from "./loop/run-loop.ts";
import { Steering } from "./loop/steering.ts";
import { ConversationFold } from "./memory/conversation-fold.ts";
import type { ModelPart, ModelRequest, ModelStopReason } from "./models/model.ts";
import { ToolList } from "./tools/tool-list.ts";

/** The model of scripts. */
export const scriptedModel = "test/scripted";

export const agent: AgentSettings = {
  agentId: "main",
  displayName: "Main",
  description: "",
  model: scriptedModel,
  instructions: "Be brief.",
  tools: ["*"],
  maxSteps: 8,
  maxOutputTokens: 1_000,
  thinkingTokens: 0,
  maxDurationMs: 60_000,
  queueMode: QueueMode.FOLLOWUP,
  historyMessages: 100,
  parallelTools: 4,
};

/** What the model does in one call. */
export type ModelScript = (request: ModelRequest) => AsyncIterable<ModelPart> | Iterable<ModelPart>;

/** A model that plays one script a call, in order, and remembers what it was asked. */
export function scriptedModels(scripts: readonly ModelScript[]): {
  readonly models: AgentDeps["models"];
  readonly requests: ModelRequest[];
} {
  const requests: ModelRequest[] = [];
  const model = {
    maxRetries: 2,
    async *stream(request: ModelRequest) {
      const script = scripts[requests.length];
      requests.push({ ...request, messages: structuredClone(request.messages) });
      if (script === undefined) throw new Error("the script has no more calls");
      yield* script(request);
    },
  };
  const models = {
    resolve: (name: string) => (name === scriptedModel ? { name, makerName: "scripted", model } : undefined),
    list: () => [],
  };
  return { models, requests };
}

export function stop(reason: ModelStopReason = "end", outputTokens = 3): readonly ModelPart[] {
  return [
    { kind: "usage", inputTokens: 10, outputTokens, cacheReadTokens: 0, cacheWriteTokens: 0 },
    { kind: "stop", reason, detail: "" },
  ];
}

export function text(words: string, index = 0): readonly ModelPart[] {
  return [
    { kind: "block-start", index, block: "text" },
    { kind: "text", index, text: words },
    { kind: "block-stop", index, block: "text" },
  ];
}

export function toolUse(
  tool: string,
  args: Record<string, string> = {},
  index = 1,
  problem?: string,
): readonly ModelPart[] {
  return [
    { kind: "block-start", index, block: "tool_use", callId: `model-${index}`, tool },
    { kind: "block-stop", index, block: "tool_use", arguments: args, problem },
  ];
}

/** Says something and stops. */
export function say(words: string): ModelScript {
  return () => [...text(words), ...stop()];
}

/** Asks for tools, one call each. */
export function ask(...tools: readonly string[]): ModelScript {
  return () => [...tools.flatMap((tool, n) => toolUse(tool, { n: String(n) }, n)), ...stop("tool_use")];
}

/** Says nothing until the run's signal aborts, as the port demands. */
export const hang: ModelScript = async function* ({ signal }) {
  yield* text("so far");
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  throw signal.reason;
};

export type RouterHandlers = Partial<ServiceImpl<typeof ToolRouterService>>;

/** Answers every call with `<tool> did <arguments>`, and remembers it. */
export function obligingRouter(): { readonly handlers: RouterHandlers; readonly calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    handlers: {
      listTools: () => ({
        tools: [
          { name: "files.read", description: "Reads." },
          { name: "web.get", description: "Gets." },
        ],
      }),
      async *callTool(requests) {
        for await (const { frame } of requests) {
          if (frame.case !== "call") continue;
          const { callId, tool } = frame.value;
          calls.push(callId);
          yield { frame: { case: "started", value: { callId, tool } } };
          const content = [{ block: { case: "text" as const, value: { text: `${tool} did it` } } }];
          yield { frame: { case: "result", value: { callId, outcome: ToolOutcome.SUCCEEDED, content } } };
          return;
        }
      },
      async *reattachCall({ callId }) {
        yield* [];
        throw failure(ErrorReason.CALL_TOMBSTONED, "never seen", { metadata: { call_id: callId } });
      },
    },
  };
}

export interface LoopOptions {
  readonly scripts: readonly ModelScript[];
  /** Default: a model that plays the scripts. */
  readonly models?: AgentDeps["models"];
  readonly router?: RouterHandlers;
  readonly agent?: Partial<AgentSettings>;
  readonly options?: Partial<RunOptions>;
  readonly signal?: AbortSignal;
  readonly steering?: Steering;
  readonly clock?: Clock;
  readonly attempt?: number;
  /** Events behind the run's start, as an earlier attempt left them. */
  readonly log?: readonly {
    readonly body: EventBody;
    readonly step: number;
    readonly attempt?: number;
    /** When it was appended, in milliseconds behind the run's start. Default 0. */
    readonly afterMs?: number;
  }[];
  /** Called with each event when it is written. */
  readonly onEvent?: (event: Event) => void;
}

const runId = "run_1";

/** Runs the loop to its end; gives the events that it wrote and what the model was asked. */
export async function runTheLoop(loop: LoopOptions) {
  const { models: scripted, requests } = scriptedModels(loop.scripts);
  const models = loop.models ?? scripted;
  const logLines: string[] = [];
  const log = createLog({ level: "debug", format: "json", destination: { write: (line) => void logLines.push(line) } });
  const clock = loop.clock ?? systemClock;
  const routes = createRouterTransport((router) =>
    router.service(ToolRouterService, loop.router ?? obligingRouter().handlers),
  );
  const deps: AgentDeps = {
    session: undefined as never,
    toolRouter: createClient(ToolRouterService, routes),
    models,
    agents: new Map([["main", agent]]),
    defaultAgent: "main",
    clock,
    log,
    deltaWindowMs: 0,
    cachedSessions: 256,
  };
  const events: Event[] = [];
  const steering = loop.steering ?? new Steering();
  const batches: Event["body"]["case"][][] = [];
  const outlet = {
    deliver: (encoded: readonly Uint8Array[]) => {
      const batch = encoded.map((each) => fromBinary(EventSchema, each));
      batches.push(batch.map(({ body }) => body.case));
      for (const event of batch) {
        events.push(event);
        loop.onEvent?.(event);
      }
    },
    ready: async () => undefined,
    durable: async () => undefined,
  };
  const attempt = loop.attempt ?? 1;
  const fold = new ConversationFold(100);
  const content = [{ block: { case: "text" as const, value: { text: "please" } } }];
  let seq = 0;
  const apply = (event: Parameters<typeof encodeEvent>[0], afterMs = 0): void => {
    seq += 1;
    fold.apply(stampEvent(encodeEvent(event), seq, seq, encodeEventTime(1_800_000_000_000 + afterMs)));
  };
  apply({ body: { case: "messageReceived", value: { runId, content } } });
  apply({ runId, attempt: 1, body: { case: "runStarted", value: {} } });
  for (const { body, step, attempt: of = 1, afterMs } of loop.log ?? [])
    apply({ runId, step, attempt: of, body }, afterMs);
  const conversation = fold.workOn(runId);
  if (conversation === undefined) throw new Error("the run was started");
  const error = await runLoop(
    {
      deps,
      tools: new ToolList(deps),
      agent: { ...agent, ...loop.agent },
      options: loop.options as RunOptions | undefined,
      runId,
      sessionId: "ses_1",
      epoch: 1,
      traceId: "0af7651916cd43dd8448eb211c80319c",
      writer: new EventWriter({ outlet, runId, attempt, clock, deltaWindowMs: 0 }),
      steering,
      signal: loop.signal ?? new AbortController().signal,
      call: {},
      toolsKey: "user:test",
    },
    conversation,
  ).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  const last = events.at(-1)?.body;
  return {
    events,
    requests,
    logLines,
    error,
    /** The kinds of events that were delivered together. */
    batches,
    kinds: events.map(({ body }) => body.case),
    of: <Case extends NonNullable<Event["body"]["case"]>>(kind: Case) =>
      events.flatMap(({ body }) =>
        body.case === kind ? [body.value as Extract<Event["body"], { case: Case }>["value"]] : [],
      ),
    finished: last?.case === "runFinished" ? last.value : undefined,
  };
}

/** What the obliging router answers to a call. */
export function callThrough(handlers: RouterHandlers, ...call: Parameters<NonNullable<RouterHandlers["callTool"]>>) {
  if (handlers.callTool === undefined) throw new Error("the router has no tools");
  return handlers.callTool(...call);
}
