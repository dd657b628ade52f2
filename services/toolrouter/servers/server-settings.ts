/** An MCP server as the mesh's configuration resolves it: every default filled in. */
import { create } from "@bufbuild/protobuf";
import { type McpServer, McpServerSchema } from "../../../gen/atoll/config/v1/mcp_server_pb.ts";
import { redactMcpServer } from "../../kernel/config/redact-config.ts";
import type { ResolvedMcpServer } from "../../kernel/config/resolved-config.ts";
import { matchesName } from "../../kernel/match-name.ts";
import type { McpTarget } from "../mcp/mcp-connection.ts";

export interface McpServerSettings {
  readonly target: McpTarget;
  /** Whether it is switched off. */
  readonly disabled: boolean;
  /** Why the configuration can't use it; then it is switched off. Empty when nothing is wrong. */
  readonly problem: string;
  /** For people; empty for what the server calls itself. */
  readonly title: string;
  /** Names of its tools, in which `*` stands for any letters; empty for all. */
  readonly includeTools: readonly string[];
  /** Likewise, and wins over `includeTools`. */
  readonly excludeTools: readonly string[];
  /** How long it may take to start, and to list its tools, in milliseconds. */
  readonly startTimeoutMs: number;
  /** How long a call may be silent, in milliseconds: no progress, no message, no byte of its response. */
  readonly callTimeoutMs: number;
  /** How long a call may take in all, progress or not, in milliseconds. */
  readonly callMaxDurationMs: number;
  /** Tools that may be repeated when a call is in doubt (T1): names without the server, or `*`. */
  readonly repeatableTools: readonly string[];
  /** Whether its tools can be used without an approval each. */
  readonly trusted: boolean;
  /** The configuration for showing it, without its secrets; undefined for a server that no configuration has. */
  readonly shown?: McpServer;
}

/** The settings of a configured server. `inheritedEnv` is all that a child sees of the mesh's own environment. */
export function settingsOf(
  server: ResolvedMcpServer,
  inheritedEnv: Readonly<Record<string, string>>,
): McpServerSettings {
  const { disabled, problem, title, includeTools, excludeTools } = server;
  const { startTimeoutMs, callTimeoutMs, callMaxDurationMs, repeatableTools, trusted } = server;
  return {
    target: targetOf(server, inheritedEnv),
    ...{ disabled, problem, title, includeTools, excludeTools },
    ...{ startTimeoutMs, callTimeoutMs, callMaxDurationMs, repeatableTools, trusted },
    shown: create(McpServerSchema, redactMcpServer(server)),
  };
}

function targetOf(server: ResolvedMcpServer, inheritedEnv: Readonly<Record<string, string>>): McpTarget {
  switch (server.transport) {
    case "stdio": {
      const { command, args, cwd, env } = server;
      return { kind: "stdio", command, args, cwd, env: { ...inheritedEnv, ...env } };
    }
    case "http":
      return { kind: "http", url: server.url, headers: server.headers };
  }
}

/** Whether the operator allows that a call of this tool is repeated. The server's own hints do not count (T1). */
export function isRepeatable(settings: McpServerSettings, toolName: string): boolean {
  return settings.repeatableTools.some((name) => name === "*" || name === toolName);
}

/** Whether the operator wants this tool at all. */
export function isWanted({ includeTools, excludeTools }: McpServerSettings, toolName: string): boolean {
  const fits = (pattern: string): boolean => matchesName(pattern, toolName);
  return (includeTools.length === 0 || includeTools.some(fits)) && !excludeTools.some(fits);
}
