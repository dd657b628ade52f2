/** Starts the agent service and its worker, which dials the session service. */
import { createClient } from "@connectrpc/connect";
import { AgentService } from "../../gen/atoll/agent/v1/agent_service_pb.ts";
import { ToolRouterService } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import type { AgentDeps, AgentSettings } from "../agent/agent-deps.ts";
import { createModels } from "../agent/models/create-models.ts";
import { type AgentPart, createAgent } from "../agent/register.ts";
import type { ResolvedAgent, ResolvedConfig } from "../kernel/config/resolved-config.ts";
import { newId } from "../kernel/id.ts";
import { RawSessionService } from "../kernel/rpc/hops/raw-session-service.ts";
import { queueModes } from "./queue-modes.ts";
import type { Wiring } from "./wiring.ts";

export async function serveAgent(wiring: Wiring): Promise<Pick<AgentPart, "worker" | "counts">> {
  const { config, clock, version, lifecycle, served } = wiring;
  const log = wiring.log.child({ service: "agent" });
  const session = served.peer("session");
  const deps: AgentDeps = {
    session: createClient(RawSessionService, session),
    toolRouter: createClient(ToolRouterService, served.peer("toolrouter")),
    models: createModels(modelSettings(config), { clock, log }),
    agents: new Map([...config.agents].map(([id, agent]) => [id, agentSettings(agent)])),
    defaultAgent: config.defaultAgent,
    clock,
    log,
    deltaWindowMs: config.runs.deltaWindowMs,
    cachedSessions: config.sessions.cachedSessions,
  };
  const { worker, routes, counts } = createAgent(deps, {
    workerId: newId("wrk", clock),
    capacity: config.runs.workerCapacity,
    version,
    workerToken: wiring.keys.workerToken,
    ...config.worker,
  });
  worker.start();
  await lifecycle.register({ name: "agent", drain: () => worker.drain(), close: () => worker.close() });
  served.addPart("agent", AgentService, routes);
  return { worker, counts };
}

function agentSettings({ id, ...agent }: ResolvedAgent): AgentSettings {
  return { ...agent, agentId: id, queueMode: queueModes[agent.queueMode] };
}

function modelSettings(config: ResolvedConfig): Parameters<typeof createModels>[0] {
  const { anthropic, offline, aliases, defaultModel } = config.models;
  return {
    names: { aliases, anthropic: anthropic.models },
    used: [defaultModel, ...[...config.agents.values()].map((agent) => agent.model)],
    anthropic: { ...anthropic, apiKey: anthropic.apiKey ?? "", baseUrl: anthropic.baseUrl ?? "" },
    offline,
  };
}
