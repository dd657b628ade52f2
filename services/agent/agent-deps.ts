/** What the agent service is handed (L1): generated clients of its peers, models and settings. */
import type { Client } from "@connectrpc/connect";
import type { QueueMode } from "../../gen/atoll/event/v1/run_events_pb.ts";
import type { ToolRouterService } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import type { RawSessionService } from "../kernel/rpc/hops/raw-session-service.ts";
import type { Models } from "./models/create-models.ts";

/** An agent as it is configured. */
export interface AgentSettings extends RunnableAgent {
  readonly displayName: string;
  readonly description: string;
  readonly queueMode: QueueMode;
}

/** What the loop knows of the agent that it runs. */
export interface RunnableAgent {
  readonly agentId: string;
  /** As its maker names it. */
  readonly model: string;
  /** The system prompt; empty for none. */
  readonly instructions: string;
  /** Patterns such as `filesystem.*`; empty for no tool, `*` for all. */
  readonly tools: readonly string[];
  /** Default 32. */
  readonly maxSteps: number;
  /** Of one model call. Default 8 192. */
  readonly maxOutputTokens: number;
  /** Default 0. */
  readonly thinkingTokens: number;
  /** Of a run. Default 3 600 000. */
  readonly maxDurationMs: number;
  /** The newest messages that the model is shown (model-messages.ts). Default 100. */
  readonly historyMessages: number;
  /** Tool calls of one step that run at the same time. Default 4. */
  readonly parallelTools: number;
}

export interface AgentDeps {
  readonly session: Client<typeof RawSessionService>;
  readonly toolRouter: Client<typeof ToolRouterService>;
  readonly models: Models;
  readonly agents: ReadonlyMap<string, AgentSettings>;
  readonly defaultAgent: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Deltas are gathered for so long; the first of a block is sent at once. Default 10. */
  readonly deltaWindowMs: number;
  /** Sessions whose conversation stays in memory; the least used leave. Default 256. */
  readonly cachedSessions: number;
}
