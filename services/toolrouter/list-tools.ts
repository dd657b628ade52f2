/** Lists tools, and names the servers whose tools are missing (L9). */
import { create } from "@bufbuild/protobuf";
import {
  type ListToolsRequest,
  type ListToolsResponse,
  ListToolsResponseSchema,
  PolicyVerdict,
} from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { describeServer } from "./describe-server.ts";
import { cutPage } from "./page.ts";
import { decidePolicy } from "./tool-policy.ts";
import type { ToolServers } from "./tool-servers.ts";

const defaultPageSize = 100;
/** How long a list waits for servers that are starting. */
const maxWaitMs = 5000;

export interface ListToolsDeps {
  readonly servers: ToolServers;
  readonly agentTools: ReadonlyMap<string, readonly string[]>;
}

/** Errors: InvalidPageToken. */
export async function listTools(
  { servers, agentTools }: ListToolsDeps,
  { server, agentId, pageSize, pageToken }: ListToolsRequest,
  signal: AbortSignal,
): Promise<ListToolsResponse> {
  const asked = servers.all.filter(({ name, settings }) => !settings.disabled && (server === "" || name === server));
  await Promise.all(asked.map((supervisor) => supervisor.settle(maxWaitMs, signal)));
  const patterns = agentTools.get(agentId);
  const tools = servers
    .tools()
    .map(({ tool }) => tool)
    .filter((tool) => server === "" || tool.server === server)
    .filter((tool) => decidePolicy(tool.name, patterns).verdict === PolicyVerdict.ALLOW);
  const size = pageSize === 0 ? defaultPageSize : pageSize;
  const page = cutPage(tools, (tool) => tool.name, size, pageToken);
  return create(ListToolsResponseSchema, {
    tools: [...page.items],
    nextPageToken: page.nextPageToken,
    unavailable: asked.filter(({ state }) => state.kind !== "ready").map(describeServer),
  });
}
