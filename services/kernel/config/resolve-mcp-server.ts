/**
 * One MCP server from its message: program or address, with variables put in.
 *
 * Keeps: what would be ignored (headers of a program, arguments of an address) is a problem instead (L9). A server that
 * is switched off may miss its variables: their text then stays as it is written.
 */
import path from "node:path";
import type { McpServer } from "../../../gen/atoll/config/v1/mcp_server_pb.ts";
import { parseUrl } from "./addresses.ts";
import type { ConfigProblem, ConfigSource, ReportProblem } from "./config-error.ts";
import { keyPath } from "./config-node.ts";
import { expandVariables } from "./expand-variables.ts";
import { filesystemCommand, filesystemServerName } from "./filesystem-server.ts";
import { quoteText } from "./read-scalar.ts";
import type { HttpMcpServer, ResolvedMcpServer, StdioMcpServer } from "./resolved-config.ts";
import { defaults, type Environment } from "./settings.ts";

export interface McpServerContext {
  /** What relative folders start from. */
  readonly cwd: string;
  readonly workspaceDir: string;
  /** Where `${NAME}` is taken from. */
  readonly env: Environment;
  readonly report: ReportProblem;
  /** Where the value of a path was written. */
  sourceOf(path: string): ConfigSource;
}

/** Undefined when a problem was reported instead. Nothing is started. */
export function resolveMcpServer(
  name: string,
  server: McpServer,
  context: McpServerContext,
): ResolvedMcpServer | undefined {
  const here = keyPath("mcpServers", name);
  let sound = true;
  const report = (key: string, problem: Omit<ConfigProblem, "path" | "source">): void => {
    sound = false;
    const at = key === "" ? here : `${here}.${key}`;
    context.report({ path: at, ...problem, source: context.sourceOf(at) });
  };
  const problemOfParts = findWrongParts(name, server);
  if (problemOfParts !== undefined) {
    const { key, ...problem } = problemOfParts;
    report(key, problem);
    return undefined;
  }
  const expandAll = (key: "env" | "headers"): Record<string, string> =>
    expandEntries(server[key], context.env, server.disabled, (entry, problem) => report(keyPath(key, entry), problem));
  const resolved =
    server.url === ""
      ? resolveStdio(name, server, context, expandAll("env"))
      : resolveHttp(name, server, expandAll("headers"), report);
  return sound ? resolved : undefined;
}

function findWrongParts(
  name: string,
  server: McpServer,
): ({ key: string } & Omit<ConfigProblem, "path" | "source">) | undefined {
  const wantsUrl = server.type === "http" || server.type === "streamable-http";
  const has = (key: "args" | "env" | "headers"): boolean => Object.keys(server[key]).length > 0;
  if (server.command !== "" && server.url !== "") {
    return { key: "", found: "both `command` and `url`", expected: "one of them" };
  }
  if (server.url !== "") {
    if (server.type === "stdio")
      return { key: "type", found: '"stdio"', expected: "http or streamable-http with a `url`" };
    const stray = has("args") ? "args" : has("env") ? "env" : server.cwd === "" ? undefined : "cwd";
    if (stray !== undefined) return { key: stray, expected: "it only with a `command`" };
    return undefined;
  }
  if (wantsUrl)
    return { key: "type", found: JSON.stringify(server.type), expected: "stdio with a `command`, or a `url`" };
  if (has("headers")) return { key: "headers", expected: "them only with a `url`" };
  const builtIn = name === filesystemServerName && server.command === "";
  if (server.command === "" && !builtIn)
    return { key: "", found: "neither `command` nor `url`", expected: "one of them" };
  if (builtIn && has("args")) return { key: "args", expected: "them only with a `command`" };
  return undefined;
}

function resolveStdio(
  name: string,
  server: McpServer,
  context: McpServerContext,
  env: Record<string, string>,
): StdioMcpServer {
  const program =
    server.command === ""
      ? filesystemCommand(context.workspaceDir)
      : { command: server.command, args: [...server.args] };
  const cwd = server.cwd === "" ? context.workspaceDir : path.resolve(context.cwd, server.cwd);
  return { ...baseOf(name, server), transport: "stdio", ...program, env, cwd };
}

function resolveHttp(
  name: string,
  server: McpServer,
  headers: Record<string, string>,
  report: (key: string, problem: Omit<ConfigProblem, "path" | "source">) => void,
): HttpMcpServer | undefined {
  for (const [header, value] of Object.entries(headers)) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(header)) {
      report(keyPath("headers", header), { found: "a name that HTTP does not allow", expected: "a header name" });
    } else if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
      report(keyPath("headers", header), {
        found: "a value that HTTP does not allow",
        expected: "one line of Latin-1 text",
      });
    }
  }
  const url = parseUrl(server.url);
  if (!("value" in url)) {
    report("url", { found: quoteText(server.url), ...url });
    return undefined;
  }
  // The address is used as it was written: a slash at its end can matter to the server.
  return { ...baseOf(name, server), transport: "http", url: server.url, headers };
}

function baseOf(name: string, server: McpServer) {
  return {
    name,
    disabled: server.disabled,
    startTimeoutMs: server.startTimeoutMs || defaults.mcpServer.startTimeoutMs,
    callTimeoutMs: server.callTimeoutMs || defaults.mcpServer.callTimeoutMs,
    callMaxDurationMs: server.callMaxDurationMs || defaults.mcpServer.callMaxDurationMs,
    repeatableTools: [...server.repeatableTools],
    trusted: server.trusted ?? true,
  };
}

function expandEntries(
  entries: Readonly<Record<string, string>>,
  env: Environment,
  lenient: boolean,
  report: (key: string, problem: Omit<ConfigProblem, "path" | "source">) => void,
): Record<string, string> {
  const expanded = Object.entries(entries).map(([key, text]) => {
    const expansion = expandVariables(text, env);
    if ("value" in expansion) return [key, expansion.value];
    if (!lenient && "missing" in expansion) {
      const hint = "Set it before the mesh starts.";
      report(key, { found: `\${${expansion.missing}}`, expected: "a variable of the environment", hint });
    } else if (!lenient)
      report(key, { found: "a `${` that names no variable", expected: "a name in braces after `$`" });
    return [key, text];
  });
  return Object.fromEntries(expanded);
}
