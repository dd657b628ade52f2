/** Lists tools, and names the servers whose tools are missing (L9). */
import { create, toBinary } from "@bufbuild/protobuf";
import { ToolSchema } from "../../../gen/atoll/tool/v1/tool_pb.ts";
import {
  type ListToolsRequest,
  type ListToolsResponse,
  ListToolsResponseSchema,
  PolicyVerdict,
} from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { decidePolicy, patternsOf } from "../policy/tool-policy.ts";
import { describeServer } from "../servers/describe-server.ts";
import type { ToolServers } from "../servers/tool-servers.ts";
import { cutPage } from "./page.ts";
import { compareNames } from "./tool-catalog.ts";

const defaultPageSize = 100;
/** So that an answer with all around it fits into the 4 MiB that clients read by default. */
export const maxPageBytes = 2 * 1024 * 1024;
/** How long a list waits for servers that are starting. */
const maxWaitMs = 5000;

export interface ListToolsDeps {
  readonly servers: ToolServers;
  readonly agentTools: ReadonlyMap<string, readonly string[]>;
}

/** Errors: InvalidPageToken. */
export async function listTools(
  { servers, agentTools }: ListToolsDeps,
  { server, agentId, pageSize, pageToken, includeUnusable }: ListToolsRequest,
  signal: AbortSignal,
): Promise<ListToolsResponse> {
  const asked = servers.all.filter(({ name, settings }) => !settings.disabled && (server === "" || name === server));
  await Promise.all(asked.map((supervisor) => supervisor.settle(maxWaitMs, signal)));
  const patterns = patternsOf(agentTools, agentId);
  const usable = servers.tools().map(({ tool, bytes }) => ({ tool, bytes }));
  const unusable = includeUnusable
    ? servers.unusable().map((tool) => ({ tool, bytes: toBinary(ToolSchema, tool).length }))
    : [];
  const tools = [...usable, ...unusable]
    .filter(({ tool }) => server === "" || tool.server === server)
    .filter(({ tool }) => decidePolicy(tool.name, patterns).verdict === PolicyVerdict.ALLOW)
    .sort((a, b) => compareNames(a.tool.name, b.tool.name));
  const size = pageSize === 0 ? defaultPageSize : pageSize;
  const page = cutPage(tools, ({ tool }) => tool.name, size, pageToken, {
    bytesOf: ({ bytes }) => bytes,
    maxBytes: maxPageBytes,
  });
  return create(ListToolsResponseSchema, {
    tools: page.items.map(({ tool }) => tool),
    nextPageToken: page.nextPageToken,
    unavailable: asked.filter(({ state }) => state.kind !== "ready").map(describeServer),
  });
}
