/** A worker with the real driver of a model's API at a session service, for tests of what passes between the two. */
import { fromBinary } from "@bufbuild/protobuf";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { onTestFinished } from "vitest";
import { type Event, EventSchema } from "../../gen/atoll/event/v1/event_pb.ts";
import { ToolRouterService } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import {
  type FakeAnthropic,
  type FakeAnthropicOptions,
  startFakeAnthropic,
} from "../../test/support/fake-anthropic/start-fake-anthropic.ts";
import {
  agentsOf,
  as,
  mainAgent,
  person,
  type RunningSession,
  sendWords,
  startSessionService,
  workerToken,
} from "../../test/support/session-service.ts";
import { systemClock } from "../kernel/clock.ts";
import type { ResolvedAgent } from "../kernel/config/resolved-config.ts";
import { createLog } from "../kernel/log.ts";
import { RawSessionService } from "../kernel/rpc/hops/raw-session-service.ts";
import { agent, obligingRouter, type RouterHandlers } from "./agent.fixture.ts";
import type { AgentDeps } from "./agent-deps.ts";
import { createModels } from "./models/create-models.ts";
import { createAgent } from "./register.ts";

export interface RealModel {
  readonly fake: FakeAnthropic;
  readonly session: RunningSession;
  /** Sends words, to a session of its own when none is named, and waits until the run has ended. */
  ask(
    words: string,
    sessionId?: string,
  ): Promise<{ readonly run: Run; readonly sessionId: string; readonly events: readonly Event[] }>;
  /** Another worker takes the place of the one that there is: it knows what the log knows. */
  replaceWorker(): Promise<void>;
  /** The statuses that the API has answered with since the last look. */
  statuses(): readonly number[];
  eventsOf(sessionId: string): Promise<readonly Event[]>;
}

type Run = NonNullable<Awaited<ReturnType<RunningSession["client"]["waitRun"]>>["run"]>;

export interface RealModelOptions {
  readonly fake?: FakeAnthropicOptions;
  readonly router?: RouterHandlers;
  readonly agent?: Partial<Omit<ResolvedAgent, "id">>;
  readonly maxRetries?: number;
}

export async function startRealModel(options: RealModelOptions = {}): Promise<RealModel> {
  const fake = await startFakeAnthropic(options.fake);
  onTestFinished(() => fake.close());
  const own: ResolvedAgent = { ...mainAgent, model: "anthropic/claude-haiku-4-5", ...options.agent };
  const session = await startSessionService({ settings: { leaseTtlMs: 20_000, agents: agentsOf(own) } });
  let workers = 0;
  let close = await startWorker();
  let looked = 0;

  async function startWorker(): Promise<() => Promise<void>> {
    workers += 1;
    const log = createLog({ level: "silent", format: "json" });
    const anthropic = {
      apiKey: "k",
      baseUrl: fake.url,
      maxRetries: options.maxRetries ?? 2,
      timeoutMs: 60_000,
      silenceMs: 30_000,
    };
    const router = createRouterTransport((routes) =>
      routes.service(ToolRouterService, options.router ?? obligingRouter().handlers),
    );
    const deps: AgentDeps = {
      session: createClient(RawSessionService, session.remote),
      toolRouter: createClient(ToolRouterService, router),
      models: createModels(
        { names: { aliases: new Map(), anthropic: [] }, used: [own.model], anthropic, offline: { tokenDelayMs: 0 } },
        { clock: systemClock, log },
      ),
      agents: new Map([["main", agent]]),
      defaultAgent: "main",
      clock: systemClock,
      log,
      deltaWindowMs: 0,
      cachedSessions: 256,
    };
    const { worker } = createAgent(deps, {
      workerId: `wrk_real_${workers}`,
      capacity: 4,
      workerToken,
      version: "test",
    });
    worker.start();
    onTestFinished(() => worker.close());
    await worker.attached();
    return () => worker.close();
  }

  const eventsOf = async (sessionId: string): Promise<readonly Event[]> => {
    const events: Event[] = [];
    let pageToken = "";
    do {
      const page = await session.client.listEvents({ sessionId, pageSize: 1_000, pageToken }, as(person));
      events.push(...page.events.map((bytes) => fromBinary(EventSchema, bytes)));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return events;
  };

  return {
    fake,
    session,
    eventsOf,
    async ask(words, sessionId = "") {
      const sent = await sendWords(session, words, { sessionId });
      const { run } = await session.client.waitRun({ runId: sent.runId, timeoutMs: 25_000 }, as(person));
      if (run === undefined) throw new Error("the run has not ended");
      const events = await eventsOf(sent.sessionId);
      return { run, sessionId: sent.sessionId, events: events.filter(({ runId }) => runId === sent.runId) };
    },
    async replaceWorker() {
      await close();
      close = await startWorker();
    },
    statuses() {
      const all = fake.requests().map(({ status }) => status);
      const since = all.slice(looked);
      looked = all.length;
      return since;
    },
  };
}

/** The bodies of one kind. */
export function bodiesOf<Case extends NonNullable<Event["body"]["case"]>>(events: readonly Event[], kind: Case) {
  return events.flatMap(({ body }) =>
    body.case === kind ? [body.value as Extract<Event["body"], { case: Case }>["value"]] : [],
  );
}
