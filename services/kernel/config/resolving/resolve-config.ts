/**
 * From the message to what the mesh uses: defaults, absolute paths, parsed addresses, and the rules between settings.
 *
 * Keeps L7: every bound has its default here or is given. Problems are reported, all of them; what is returned is only
 * sound when none was.
 */

import path from "node:path";
import { create, type DescMessage, isFieldSet, type Message } from "@bufbuild/protobuf";
import {
  type AgentConfig,
  AgentConfigSchema,
  LifecycleConfigSchema,
  LimitsConfigSchema,
  type MeshConfig,
  RunsConfigSchema,
  SessionsConfigSchema,
} from "../../../../gen/atoll/config/v1/mesh_config_pb.ts";
import type { LogFormat, LogLevel } from "../../log.ts";
import { fullModelName } from "../../model-names.ts";
import type { ConfigProblem, ReportProblem } from "../config-error.ts";
import type { ReportWarning } from "../config-warning.ts";
import type { FoundServers } from "../dialects/find-servers.ts";
import { expandHome } from "../folders/home-folder.ts";
import { keyPath } from "../reading/config-node.ts";
import type { ConfigReading } from "../reading/read-config.ts";
import { quoteText } from "../reading/read-scalar.ts";
import type {
  DirectScope,
  QueueMode,
  ResolvedAgent,
  ResolvedConfig,
  ResolvedModels,
  ResolvedSessions,
} from "../resolved-config.ts";
import { defaults, describeWays, type Environment, noTools } from "../settings.ts";
import { type Parsed, parseHost, parseListen, parseOrigin, parseUrl } from "./addresses.ts";
import { checkModels } from "./check-models.ts";
import { inheritedEnv } from "./inherited-env.ts";
import { resolveBindings } from "./resolve-bindings.ts";
import { resolveMcpServers } from "./resolve-mcp-servers.ts";
import { parseTimeZone } from "./time-zone.ts";

export interface ResolveContext {
  readonly found: Pick<FoundServers, "servers" | "inputs">;
  readonly configFile: string | undefined;
  readonly cwd: string;
  readonly env: Environment;
  /** Whether the log goes to a terminal. */
  readonly terminal: boolean;
  readonly report: ReportProblem;
  readonly warn: ReportWarning;
}

/** Resolves a configuration that was read. */
export function resolveConfig(reading: ConfigReading, context: ResolveContext): Omit<ResolvedConfig, "warnings"> {
  const { message } = reading;
  const check = createCheck(reading, context.report);
  const home = (text: string): Parsed<string> => expandHome(text, context.env);
  const folder = (at: string, text: string): string => path.resolve(context.cwd, check(at, text, home) ?? "");
  const workspaceDir = folder("workspace", message.workspace || defaults.workspace);
  const listen = check("listen", message.listen || defaults.listen, parseListen);
  const models = resolveModels(message, check);
  const agents = resolveAgents(reading, models);
  const runs = withDefaults(RunsConfigSchema, message.runs, defaults.runs);
  checkRules(message, runs, agents, reading, context.report);
  checkModels(models, agents, reading, context.report);
  return {
    configFile: context.configFile,
    listen: listen ?? { host: "", port: 0 },
    dataDir: folder("data", message.data || defaults.data),
    workspaceDir,
    tls: resolveTls(reading, folder, context.report),
    access: {
      allowedHosts: checkAll("access.allowedHosts", message.access?.allowedHosts, parseHost, check),
      allowedOrigins: checkAll("access.allowedOrigins", message.access?.allowedOrigins, parseOrigin, check),
      publicUrl: check("access.publicUrl", message.access?.publicUrl, parseUrl),
    },
    limits: withDefaults(LimitsConfigSchema, message.limits, defaults.limits),
    runs,
    worker: { pool: message.runs?.workerPool ?? "", labels: { ...message.runs?.workerLabels } },
    sessions: resolveSessions(reading, agents, check, context.report),
    models,
    agents,
    defaultAgent: message.defaultAgent || defaults.defaultAgent,
    mcpServers: resolveMcpServers(context.found, { ...context, workspaceDir }),
    inheritedEnv: inheritedEnv(context.env),
    // The walk over the contract has let through only these words, here as for `rpc`.
    log: {
      level: (message.log?.level || defaults.logLevel) as LogLevel,
      format: (message.log?.format || (context.terminal ? "pretty" : "json")) as LogFormat,
    },
    peers: {
      session: check("peers.session", message.peers?.session, parseUrl),
      agent: check("peers.agent", message.peers?.agent, parseUrl),
      toolrouter: check("peers.toolrouter", message.peers?.toolrouter, parseUrl),
    },
    rpc: { unary: (message.rpc?.unary || defaults.rpcUnary) as "fast" | "library" },
    lifecycle: withDefaults(LifecycleConfigSchema, message.lifecycle, defaults.lifecycle),
  };
}

/** Parses a text that was given; undefined when there is none or it is wrong, which is then reported. */
type Check = <T>(at: string, text: string | undefined, parse: (text: string) => Parsed<T>) => T | undefined;

function createCheck(reading: ConfigReading, report: ReportProblem): Check {
  return (at, text, parse) => {
    if (text === undefined || text === "") return undefined;
    const parsed = parse(text);
    if ("value" in parsed) return parsed.value;
    const hint = [parsed.hint, describeWays(at)].filter((part) => part !== undefined).join(" ");
    const problem: ConfigProblem = {
      path: at,
      found: quoteText(text),
      expected: parsed.expected,
      source: reading.sourceOf(at),
    };
    report(hint === "" ? problem : { ...problem, hint });
    return undefined;
  };
}

function checkAll<T>(
  at: string,
  texts: readonly string[] | undefined,
  parse: (text: string) => Parsed<T>,
  check: Check,
): T[] {
  const parsed = (texts ?? []).map((text, index) =>
    // An empty item is wrong, not absent.
    check(`${at}[${index}]`, text === "" ? " " : text, parse),
  );
  return parsed.filter((value) => value !== undefined);
}

/** The numbers of a message; 0 stands for "not given", unless the contract tells the two apart. */
function withDefaults<D extends Readonly<Record<string, number>>>(
  schema: DescMessage,
  given: Message | undefined,
  fallback: D,
): { readonly [K in keyof D]: number } {
  const numbers = given as unknown as Readonly<Record<string, number>> | undefined;
  const entries = Object.entries(fallback).map(([key, value]) => {
    const field = schema.field[key];
    const isGiven = given !== undefined && field !== undefined && isFieldSet(given, field);
    return [key, isGiven ? numbers?.[key] : value];
  });
  return Object.fromEntries(entries) as { readonly [K in keyof D]: number };
}

function resolveTls(
  { message, sourceOf }: ConfigReading,
  folder: (at: string, text: string) => string,
  report: ReportProblem,
): ResolvedConfig["tls"] {
  const { certFile = "", keyFile = "" } = message.tls ?? {};
  if (certFile === "" && keyFile === "") return undefined;
  if (certFile === "" || keyFile === "") {
    const missing = certFile === "" ? "certFile" : "keyFile";
    const given = certFile === "" ? "keyFile" : "certFile";
    const source = sourceOf(`tls.${given}`);
    report({
      path: `tls.${missing}`,
      found: `only \`${given}\``,
      expected: "both files, or none for plaintext",
      source,
    });
    return undefined;
  }
  return { certFile: folder("tls.certFile", certFile), keyFile: folder("tls.keyFile", keyFile) };
}

function resolveSessions(
  reading: ConfigReading,
  agents: ReadonlyMap<string, ResolvedAgent>,
  check: Check,
  report: ReportProblem,
): ResolvedSessions {
  const { sessions } = reading.message;
  return {
    ...withDefaults(SessionsConfigSchema, sessions, defaults.sessions),
    timeZone: check("sessions.timeZone", sessions?.timeZone, parseTimeZone),
    maxLogBytes: Number(sessions?.maxLogBytes ?? 0n) || defaults.sessionsMaxLogBytes,
    directScope: (sessions?.directScope || defaults.sessionsDirectScope) as DirectScope,
    bindings: resolveBindings(sessions?.bindings ?? {}, new Set(agents.keys()), reading, report),
  };
}

function resolveModels(message: MeshConfig, check: Check): ResolvedModels {
  const { anthropic, offline, defaultModel, aliases } = message.models ?? {};
  const apiKey = anthropic?.apiKey || undefined;
  const written =
    defaultModel || (apiKey === undefined ? defaults.defaultModel.withoutKey : defaults.defaultModel.withKey);
  const names = { aliases: new Map(Object.entries(aliases ?? {})), anthropic: anthropic?.models ?? [] };
  return {
    defaultModel: fullModelName(written, names) ?? written,
    aliases: names.aliases,
    anthropic: {
      apiKey,
      baseUrl: check("models.anthropic.baseUrl", anthropic?.baseUrl, parseUrl),
      maxRetries: anthropic?.maxRetries ?? defaults.models.anthropic.maxRetries,
      timeoutMs: anthropic?.timeoutMs || defaults.models.anthropic.timeoutMs,
      silenceMs: anthropic?.silenceMs || defaults.models.anthropic.silenceMs,
      models: [...(anthropic?.models ?? [])],
    },
    offline: { tokenDelayMs: offline?.tokenDelayMs ?? defaults.models.offline.tokenDelayMs },
  };
}

function resolveAgents({ message, sourceOf }: ConfigReading, models: ResolvedModels): Map<string, ResolvedAgent> {
  const given = { [defaults.defaultAgent]: create(AgentConfigSchema), ...message.agents };
  // Only where it was written tells an empty list from none.
  const namesTools = (id: string): boolean => sourceOf(`${keyPath("agents", id)}.tools`).from !== "default";
  return new Map(Object.entries(given).map(([id, agent]) => [id, resolveAgent(id, agent, models, namesTools(id))]));
}

function resolveAgent(id: string, agent: AgentConfig, models: ResolvedModels, namesTools: boolean): ResolvedAgent {
  const names = { aliases: models.aliases, anthropic: models.anthropic.models };
  return {
    id,
    displayName: agent.displayName || id,
    description: agent.description,
    model: fullModelName(agent.model || models.defaultModel, names) ?? agent.model,
    instructions: agent.instructions,
    tools: toolsOf(agent, namesTools),
    ...withDefaults(AgentConfigSchema, agent, defaults.agent),
    maxDurationMs: Number(agent.maxDurationMs) || defaults.agentMaxDurationMs,
    queueMode: (agent.queueMode || defaults.agentQueueMode) as QueueMode,
    pool: agent.pool,
    workerLabels: { ...agent.workerLabels },
  };
}

function toolsOf({ tools }: AgentConfig, namesTools: boolean): readonly string[] {
  if (tools.length === 1 && tools[0] === noTools) return [];
  return namesTools ? [...tools] : [...defaults.agentTools];
}

/** Rules between settings. */
function checkRules(
  message: MeshConfig,
  runs: ResolvedConfig["runs"],
  agents: ReadonlyMap<string, ResolvedAgent>,
  { sourceOf }: ConfigReading,
  report: ReportProblem,
): void {
  if (runs.leaseTtlMs <= 2 * runs.renewIntervalMs) {
    const ownSource = sourceOf("runs.leaseTtlMs");
    report({
      path: "runs.leaseTtlMs",
      found: String(runs.leaseTtlMs),
      expected: `more than twice runs.renewIntervalMs (${runs.renewIntervalMs})`,
      hint: `Defaults are ${defaults.runs.leaseTtlMs} and ${defaults.runs.renewIntervalMs}.`,
      source: ownSource.from === "default" ? sourceOf("runs.renewIntervalMs") : ownSource,
    });
  }
  const defaultAgent = message.defaultAgent || defaults.defaultAgent;
  if (!agents.has(defaultAgent)) {
    const known = [...agents.keys()].map((id) => keyPath("", id)).join(", ");
    report({
      path: "defaultAgent",
      found: quoteText(defaultAgent),
      expected: `one of ${known}`,
      source: sourceOf("defaultAgent"),
    });
  }
}
