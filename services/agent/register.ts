/** Starts the agent service: its RPCs on a router, and its worker at the session service. */
import type { ConnectRouter } from "@connectrpc/connect";
import { AgentService } from "../../gen/atoll/agent/v1/agent_service_pb.ts";
import { registerService } from "../kernel/rpc/register-service.ts";
import type { AgentDeps } from "./agent-deps.ts";
import { createAgentService } from "./agent-service.ts";
import { SessionMemory } from "./session-memory.ts";
import { ToolList } from "./tool-list.ts";
import { Worker, type WorkerOptions } from "./worker.ts";

export interface AgentPart {
  readonly routes: (router: ConnectRouter) => void;
  readonly worker: Worker;
}

/** The worker does not dial before `worker.start()`. */
export function createAgent(deps: AgentDeps, options: WorkerOptions): AgentPart {
  const tools = new ToolList(deps);
  const memory = new SessionMemory(deps.session, deps.cachedSessions);
  const worker = new Worker(deps, options, { tools, memory });
  const service = createAgentService(deps, tools, () => memory.counts());
  return { routes: (router) => registerService(router, AgentService, service), worker };
}
