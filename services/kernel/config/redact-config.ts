/**
 * The configuration in force as its message, for showing it, and for giving it back changed.
 *
 * Keeps: no secret leaves: keys, values of `env` and `headers`, passwords and queries in addresses, and arguments that are
 * named like secrets. Their names stay, so that a person sees that they are set, and a reference to one (`${NAME}`) is shown as
 * it is written.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { McpServerSchema } from "../../../gen/atoll/config/v1/mcp_server_pb.ts";
import { type MeshConfig, MeshConfigSchema } from "../../../gen/atoll/config/v1/mesh_config_pb.ts";
import { isSecretName } from "../secret-names.ts";
import type { ResolvedAgent, ResolvedConfig, ResolvedMcpServer } from "./resolved-config.ts";
import { formatListen } from "./resolving/addresses.ts";
import { noTools } from "./settings.ts";

/** What stands in the place of a secret that is no reference; given back, it means: as it is. */
const kept = "[kept]";

/** The message with every value in force, defaults included, and `[kept]` in the place of each secret. */
export function redactConfig(config: ResolvedConfig): MeshConfig {
  const { anthropic } = config.models;
  return create(MeshConfigSchema, {
    listen: formatListen(config.listen),
    data: config.dataDir,
    workspace: config.workspaceDir,
    ...(config.tls === undefined ? {} : { tls: config.tls }),
    access: {
      allowedHosts: [...config.access.allowedHosts],
      allowedOrigins: [...config.access.allowedOrigins],
      publicUrl: redactUrl(config.access.publicUrl),
    },
    limits: config.limits,
    runs: config.runs,
    sessions: {
      ...config.sessions,
      timeZone: config.sessions.timeZone ?? "",
      maxLogBytes: BigInt(config.sessions.maxLogBytes),
      bindings: Object.fromEntries(
        config.sessions.bindings.map(({ pattern, agentId }) => [pattern.join(":"), agentId]),
      ),
    },
    models: {
      defaultModel: config.models.defaultModel,
      aliases: Object.fromEntries(config.models.aliases),
      anthropic: {
        ...anthropic,
        apiKey: anthropic.apiKey === undefined ? "" : kept,
        baseUrl: redactUrl(anthropic.baseUrl),
        models: [...anthropic.models],
      },
      offline: config.models.offline,
    },
    agents: Object.fromEntries([...config.agents].map(([id, agent]) => [id, showAgent(agent)])),
    defaultAgent: config.defaultAgent,
    mcpServers: Object.fromEntries([...config.mcpServers].map(([name, server]) => [name, redactMcpServer(server)])),
    log: config.log,
    peers: {
      session: redactUrl(config.peers.session),
      agent: redactUrl(config.peers.agent),
      toolrouter: redactUrl(config.peers.toolrouter),
    },
    rpc: config.rpc,
    lifecycle: config.lifecycle,
  });
}

function showAgent({ id: _, ...agent }: ResolvedAgent) {
  const tools = agent.tools.length === 0 ? [noTools] : [...agent.tools];
  return { ...agent, tools, maxDurationMs: BigInt(agent.maxDurationMs) };
}

/** One server as its message, without its secrets. */
export function redactMcpServer(server: ResolvedMcpServer): MessageInitShape<typeof McpServerSchema> {
  const { disabled, startTimeoutMs, callTimeoutMs, callMaxDurationMs, trusted, title, written } = server;
  const base = {
    ...{ disabled, startTimeoutMs, callTimeoutMs, callMaxDurationMs, trusted, title },
    repeatableTools: [...server.repeatableTools],
    includeTools: [...server.includeTools],
    excludeTools: [...server.excludeTools],
  };
  switch (server.transport) {
    case "stdio":
      return {
        ...base,
        type: "stdio",
        // As written: what a variable put in can be a secret.
        command: written.command,
        args: redactArgs(written.args),
        env: redactValues(server.env, written.env),
        cwd: server.cwd,
      };
    case "http":
      return {
        ...base,
        type: "http",
        url: redactUrl(written.url),
        headers: redactValues(server.headers, written.headers),
      };
  }
}

/** A reference, and what stands in front of one in a header. */
const reference = /^(?:(?:Bearer|Basic|Token) +)?\$\{(?:env:)?[A-Za-z_][A-Za-z0-9_]*\}$/i;

type Values = Readonly<Record<string, string>>;

/** Values that came from a file have no name in `written`. */
function redactValues(values: Values, written: Values): Record<string, string> {
  return Object.fromEntries(
    Object.keys(values).map((name) => [name, reference.test(written[name] ?? "") ? (written[name] ?? "") : kept]),
  );
}

/** `--api-key=x`, `--api-key x` and `API_KEY=x`. */
function redactArgs(args: readonly string[]): string[] {
  return args.map((arg, index) => {
    const previous = args[index - 1] ?? "";
    if (previous.startsWith("-") && !previous.includes("=") && isSecretName(previous) && !arg.startsWith("-"))
      return kept;
    const [, name] = /^(-*[\w-]+)=/.exec(arg) ?? [];
    return name !== undefined && isSecretName(name) ? `${name}=${kept}` : redactUrl(arg);
  });
}

/** An address without password and query; other text as it is. */
function redactUrl(text: string | undefined): string {
  if (text === undefined || !/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return text ?? "";
  return text
    .replace(/^([^:]+:\/\/)[^/?#]*@/, (_, scheme: string) => `${scheme}${kept}@`)
    .replace(/\?.*$/s, () => `?${kept}`);
}
