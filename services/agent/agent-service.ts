/** AgentService: what agents and models there are, and the loop on its own. */
import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { type Agent, AgentSchema, ModelSchema } from "../../gen/atoll/agent/v1/agent_pb.ts";
import {
  type AgentService,
  GetAgentResponseSchema,
  ListAgentsResponseSchema,
  ListModelsResponseSchema,
} from "../../gen/atoll/agent/v1/agent_service_pb.ts";
import { ErrorReason, failure } from "../kernel/errors.ts";
import { InvalidPageToken } from "../kernel/store/store-errors.ts";
import type { AgentDeps, AgentSettings } from "./agent-deps.ts";
import { runAlone } from "./loop/run-alone.ts";
import type { ToolList } from "./tools/tool-list.ts";

const defaultPageSize = 50;

export function createAgentService(deps: AgentDeps, tools: ToolList): ServiceImpl<typeof AgentService> {
  const agents = [...deps.agents.values()].sort((a, b) => (a.agentId < b.agentId ? -1 : 1));
  return {
    run: (requests, context) => runAlone(deps, tools, requests, context),
    listAgents: (request) => {
      const page = pageOf(agents, request, (agent) => agent.agentId);
      return create(ListAgentsResponseSchema, { agents: page.items.map(toAgent), nextPageToken: page.nextPageToken });
    },
    getAgent: ({ agentId }) => {
      const agent = deps.agents.get(agentId);
      if (agent === undefined) {
        throw failure(ErrorReason.AGENT_NOT_FOUND, `no such agent: ${agentId}`, { metadata: { agent_id: agentId } });
      }
      return create(GetAgentResponseSchema, { agent: toAgent(agent) });
    },
    listModels: (request) => {
      const page = pageOf(deps.models.list(), request, (model) => model.model);
      const models = page.items.map(({ contextTokens, ...model }) =>
        create(ModelSchema, { ...model, aliases: [...model.aliases], contextTokens: BigInt(contextTokens) }),
      );
      return create(ListModelsResponseSchema, { models, nextPageToken: page.nextPageToken });
    },
  };
}

function toAgent(agent: AgentSettings): Agent {
  const { agentId, displayName, description, model, tools, maxSteps, queueMode, historyMessages } = agent;
  return create(AgentSchema, {
    agentId,
    displayName,
    description,
    model,
    tools: [...tools],
    maxSteps,
    queueMode,
    historyMessages,
  });
}

/** A page of a list that is in order of its names; the token is the last name, encoded. */
function pageOf<Item>(
  items: readonly Item[],
  { pageSize, pageToken }: { readonly pageSize: number; readonly pageToken: string },
  nameOf: (item: Item) => string,
): { readonly items: readonly Item[]; readonly nextPageToken: string } {
  const after = pageToken === "" ? "" : Buffer.from(pageToken, "base64url").toString("utf8");
  if (pageToken !== "" && !items.some((item) => nameOf(item) === after))
    throw new InvalidPageToken("not a token of this list");
  const rest = items.filter((item) => nameOf(item) > after);
  const page = rest.slice(0, pageSize || defaultPageSize);
  const last = page.at(-1);
  const isLast = last === undefined || page.length === rest.length;
  return { items: page, nextPageToken: isLast ? "" : Buffer.from(nameOf(last)).toString("base64url") };
}
