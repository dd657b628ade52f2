/** What there is to know of MCP servers and their tools, from a running mesh or by starting the servers for a moment. */
import { createClient, type Transport } from "@connectrpc/connect";
import { ServerState } from "../../../gen/atoll/tool/v1/tool_pb.ts";
import { ToolRouterService } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { systemClock } from "../../kernel/clock.ts";
import type { ResolvedConfig, ResolvedMcpServer } from "../../kernel/config/resolved-config.ts";
import type { Log } from "../../kernel/log.ts";
import { settingsOf } from "../../toolrouter/servers/server-settings.ts";
import { ToolServers } from "../../toolrouter/servers/tool-servers.ts";

export interface ServerFacts {
  readonly name: string;
  readonly state: "ready" | "off" | "failed" | "starting" | "not-tried";
  readonly tools: number;
  /** Why it does not work; empty when nobody knows or nothing is wrong. */
  readonly problem: string;
}

export interface ToolFacts {
  readonly servers: readonly ServerFacts[];
  readonly toolNames: readonly string[];
}

const pageSize = 500;
/** A first `npx` may have to download its program. */
const maxStartMs = 30_000;
const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};

/** Asks the mesh, which waits a moment for servers that are starting. */
export async function askMeshForTools(transport: Transport): Promise<ToolFacts> {
  const client = createClient(ToolRouterService, transport);
  const toolNames: string[] = [];
  for (let pageToken = ""; ; ) {
    const page = await client.listTools({ pageSize, pageToken }, { timeoutMs: 20_000 });
    toolNames.push(...page.tools.map(({ name }) => name));
    pageToken = page.nextPageToken;
    if (pageToken === "") break;
  }
  const servers: ServerFacts[] = [];
  for (let pageToken = ""; ; ) {
    const page = await client.listServers({ pageSize, pageToken }, { timeoutMs: 10_000 });
    for (const { name, state, toolCount, problem } of page.servers) {
      servers.push({ name, state: states[state] ?? "failed", tools: toolCount, problem });
    }
    pageToken = page.nextPageToken;
    if (pageToken === "") return { servers, toolNames };
  }
}

const states: Readonly<Partial<Record<ServerState, ServerFacts["state"]>>> = {
  [ServerState.STARTING]: "starting",
  [ServerState.READY]: "ready",
  [ServerState.BACKING_OFF]: "failed",
  [ServerState.STOPPED]: "off",
};

/** Starts every server that is on, all at once, lists its tools and ends it. */
export async function tryServers(config: ResolvedConfig, isThere: (folder: string) => boolean): Promise<ToolFacts> {
  const waits = (server: ResolvedMcpServer): boolean =>
    !server.disabled && server.transport === "stdio" && server.cwd === config.workspaceDir && !isThere(server.cwd);
  const tried = [...config.mcpServers].filter(([, server]) => !waits(server));
  const settings = new Map(tried.map(([name, server]) => [name, settingsOf(server, config.inheritedEnv)]));
  const servers = new ToolServers({ servers: settings, log: silentLog, clock: systemClock });
  servers.start();
  try {
    const settled = servers.all.map(async (supervisor): Promise<ServerFacts> => {
      const { name } = supervisor;
      const state = await supervisor.settle(Math.min(maxStartMs, supervisor.settings.startTimeoutMs));
      if (state.kind === "ready") return { name, state: "ready", tools: state.tools.size, problem: "" };
      if (state.kind === "stopped") return { name, state: "off", tools: 0, problem: state.problem };
      return { name, state: state.kind === "starting" ? "starting" : "failed", tools: 0, problem: state.problem };
    });
    const facts = await Promise.all(settled);
    const notTried = [...config.mcpServers.values()].filter(waits).map(({ name }): ServerFacts => {
      return { name, state: "not-tried", tools: 0, problem: "its folder, the workspace, is made by the first start" };
    });
    return { servers: [...facts, ...notTried], toolNames: servers.tools().map(({ tool }) => tool.name) };
  } finally {
    await servers.stop();
  }
}
