/** Starts the agent service: its RPCs on a router, and its worker at the session service. */
import type { ConnectRouter } from "@connectrpc/connect";
import { AgentService } from "../../gen/atoll/agent/v1/agent_service_pb.ts";
import { registerService } from "../kernel/rpc/register-service.ts";
import type { AgentDeps } from "./agent-deps.ts";
import { createAgentService } from "./agent-service.ts";
import { SessionMemory } from "./memory/session-memory.ts";
import { ToolList } from "./tools/tool-list.ts";
import { Worker, type WorkerOptions } from "./worker/worker.ts";

export interface AgentPart {
  readonly routes: (router: ConnectRouter) => void;
  readonly worker: Worker;
  /** How many sessions' conversations are in memory, and the most that may be. */
  readonly counts: SessionMemory["counts"];
}

/** The worker does not dial before `worker.start()`. */
export function createAgent(deps: AgentDeps, options: WorkerOptions): AgentPart {
  const tools = new ToolList(deps);
  // A run has a message at least, so that no agent is shown more runs than messages; one more for the run at work.
  const maxRuns = Math.max(...[...deps.agents.values()].map(({ historyMessages }) => historyMessages)) + 1;
  const memory = new SessionMemory(deps.session, { maxSessions: deps.cachedSessions, maxRuns });
  const worker = new Worker(deps, options, { tools, memory });
  const service = createAgentService(deps, tools);
  return { routes: (router) => registerService(router, AgentService, service), worker, counts: () => memory.counts() };
}
