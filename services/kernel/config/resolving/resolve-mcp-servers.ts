/**
 * The MCP servers of a configuration as the mesh uses them.
 *
 * Keeps F1: whatever is wrong with a server switches off that server, with its reason, and nothing else. The file server
 * stands in when there are no servers at all.
 */
import { statSync } from "node:fs";
import path from "node:path";
import { create } from "@bufbuild/protobuf";
import { McpServerSchema } from "../../../../gen/atoll/config/v1/mcp_server_pb.ts";
import { cutText } from "../../visible-text.ts";
import type { ConfigProblem } from "../config-error.ts";
import type { ReportWarning } from "../config-warning.ts";
import type { FoundServer, FoundServers } from "../dialects/find-servers.ts";
import { meshNames } from "../dialects/mesh-names.ts";
import { readEntry } from "../dialects/read-entry.ts";
import type { ServerProblem } from "../dialects/server-draft.ts";
import { homeFolder } from "../folders/home-folder.ts";
import { readPart } from "../reading/read-config.ts";
import type { ResolvedMcpServer } from "../resolved-config.ts";
import type { Environment } from "../settings.ts";
import type { Variables } from "./expand-variables.ts";
import { filesystemServerName } from "./filesystem-server.ts";
import { resolveMcpServer } from "./resolve-mcp-server.ts";

export interface McpServersContext {
  readonly configFile: string | undefined;
  readonly cwd: string;
  readonly workspaceDir: string;
  readonly env: Environment;
  readonly warn: ReportWarning;
}

const maxProblemBytes = 1_024;

/** Folders of a project that hold a program's settings: its servers start in the project. */
const settingsFolders = new Set([
  ".vscode",
  ".cursor",
  ".roo",
  ".kiro",
  ".gemini",
  ".continue",
  ".zed",
  ".claude",
  ".codex",
]);

export function resolveMcpServers(
  { servers, inputs }: Pick<FoundServers, "servers" | "inputs">,
  context: McpServersContext,
): Map<string, ResolvedMcpServer> {
  const { env, workspaceDir } = context;
  const baseDir = baseFolder(context);
  const variables: Variables = { env, baseDir, home: homeFolder(env), inputs };
  if (servers.length === 0) {
    const { server } = resolveMcpServer(filesystemServerName, create(McpServerSchema), { variables, workspaceDir });
    return new Map([[server.name, server]]);
  }
  const names = meshNames(servers.map(({ name }) => name));
  const resolved = servers.map((found) => resolveOne(found, names.get(found.name) ?? found.name, variables, context));
  return new Map(resolved.map((server) => [server.name, server]));
}

/** What relative paths of servers start from. */
function baseFolder({ configFile, cwd }: McpServersContext): string {
  if (configFile === undefined) return cwd;
  const folder = path.dirname(configFile);
  if (settingsFolders.has(path.basename(folder))) return path.dirname(folder);
  const isDeeper = path.basename(folder) === "settings" && settingsFolders.has(path.basename(path.dirname(folder)));
  return isDeeper ? path.dirname(path.dirname(folder)) : folder;
}

function resolveOne(
  found: FoundServer,
  name: string,
  variables: Variables,
  { workspaceDir, warn }: McpServersContext,
): ResolvedMcpServer {
  const { entry, path: at } = found;
  const isFile = (file: string): boolean => isFileAt(path.resolve(variables.baseDir, file));
  const reading = readEntry(entry.value, entry.source, { path: at, warn, isFile });
  const strict: ServerProblem[] = [];
  const report = (problem: ConfigProblem): void => void strict.push(asServerProblem(problem, at));
  const message = readPart(McpServerSchema, reading.map, at, report);
  const sourceOf = (key: string) => reading.map.entries.find((field) => field.key === key)?.source ?? entry.source;
  const { server, problems, warnings } = resolveMcpServer(name, message, { variables, workspaceDir });
  const title = server.title === "" && name !== found.name ? found.name : server.title;
  if (name !== found.name) warn({ path: at, text: `it is named \`${name}\` here`, source: entry.source });
  for (const { key, text } of warnings) {
    warn({ path: `${at}.${key}`, text, source: sourceOf(/^\w+/.exec(key)?.[0] ?? "") });
  }
  // The first look at the words says more than what follows from leaving them out.
  const all = [...reading.problems, ...strict, ...(reading.problems.length + strict.length > 0 ? [] : problems)];
  // What is switched off may miss what it needs.
  if (all.length === 0 || server.disabled) return { ...server, title };
  for (const { key, text, source = sourceOf(/^\w+/.exec(key)?.[0] ?? "") } of all) {
    warn({ path: key === "" ? at : `${at}.${key}`, text: `${text}; the server is switched off`, source });
  }
  const problem = all.map(({ key, text }) => (key === "" ? text : `\`${key}\`: ${text}`)).join("; ");
  return { ...server, title, disabled: true, problem: cutText(problem, maxProblemBytes) };
}

function asServerProblem({ path: at, found, expected, hint, source }: ConfigProblem, server: string): ServerProblem {
  const what = found === undefined ? `expected ${expected}` : `found ${found}, expected ${expected}`;
  const key = at.startsWith(`${server}.`) ? at.slice(server.length + 1) : "";
  return { key, text: hint === undefined ? what : `${what}. ${hint.replace(/\.$/, "")}`, source };
}

function isFileAt(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}
