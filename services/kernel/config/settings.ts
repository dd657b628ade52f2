/**
 * Settings that a flag or an environment variable can give, and the default of every setting.
 *
 * Keeps: a flag beats the environment, the environment beats the file, the file beats the default. The values are those
 * of the comments in proto/atoll/config/v1, and a test compares the two.
 */
import { offlineModel } from "../model-names.ts";

/** Flags, already parsed; a flag that was not given is left out. */
export interface ConfigFlags {
  readonly listen?: string | undefined;
  readonly data?: string | undefined;
  /** The configuration file; then it must exist. */
  readonly config?: string | undefined;
  readonly logLevel?: string | undefined;
  readonly session?: string | undefined;
  readonly agent?: string | undefined;
  readonly toolrouter?: string | undefined;
}

/** The process's environment, or what stands for it. An empty variable counts as not given. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The file to read, when it is not one of the usual ones in the current folder. */
export const configFileVariable = "ATOLL_CONFIG";

export interface OverridableSetting {
  readonly path: readonly [string, ...string[]];
  readonly variable: string;
  readonly flag?: { readonly key: Exclude<keyof ConfigFlags, "config">; readonly name: string };
}

export const overridableSettings: readonly OverridableSetting[] = [
  { path: ["listen"], variable: "ATOLL_LISTEN", flag: { key: "listen", name: "listen" } },
  { path: ["data"], variable: "ATOLL_DATA", flag: { key: "data", name: "data" } },
  { path: ["log", "level"], variable: "ATOLL_LOG_LEVEL", flag: { key: "logLevel", name: "log-level" } },
  { path: ["peers", "session"], variable: "ATOLL_SESSION_URL", flag: { key: "session", name: "session" } },
  { path: ["peers", "agent"], variable: "ATOLL_AGENT_URL", flag: { key: "agent", name: "agent" } },
  { path: ["peers", "toolrouter"], variable: "ATOLL_TOOLROUTER_URL", flag: { key: "toolrouter", name: "toolrouter" } },
  { path: ["models", "anthropic", "apiKey"], variable: "ANTHROPIC_API_KEY" },
  { path: ["models", "anthropic", "baseUrl"], variable: "ANTHROPIC_BASE_URL" },
];

export const defaults = {
  listen: "127.0.0.1:18789",
  data: ".atoll",
  workspace: "workspace",
  defaultAgent: "main",
  limits: {
    maxConnections: 2000,
    maxConnectionsPerAddress: 50,
    maxStreamsPerConnection: 100,
    firstRequestTimeoutMs: 10_000,
    keepAliveTimeoutMs: 65_000,
    streamIdleTimeoutMs: 900_000,
    progressIntervalMs: 15_000,
    maxFailedAuthPerMinute: 30,
    pingTimeoutMs: 10_000,
    pingIntervalMs: 20_000,
    readerStallTimeoutMs: 30_000,
  },
  rpcUnary: "fast",
  runs: {
    leaseTtlMs: 5000,
    renewIntervalMs: 1000,
    reattachGraceMs: 500,
    deltaWindowMs: 10,
    workerCapacity: 64,
    maxQueuedRuns: 100,
    cancelGraceMs: 2000,
    maxAttempts: 5,
  },
  sessions: { idleTimeoutMs: 1_800_000, cachedSessions: 256, retentionDays: 0, maxLogEvents: 0 },
  sessionsMaxLogBytes: 0,
  sessionsDirectScope: "channel_peer",
  models: { anthropic: { maxRetries: 2, timeoutMs: 600_000, silenceMs: 120_000 }, offline: { tokenDelayMs: 8 } },
  /** With a key, and without one. */
  defaultModel: { withKey: "anthropic/claude-sonnet-5-5", withoutKey: offlineModel },
  agent: {
    maxSteps: 32,
    maxOutputTokens: 8192,
    thinkingTokens: 0,
    historyMessages: 100,
    parallelTools: 4,
  },
  agentMaxDurationMs: 3_600_000,
  agentQueueMode: "followup",
  agentTools: ["*"],
  mcpServer: { startTimeoutMs: 30_000, callTimeoutMs: 60_000, callMaxDurationMs: 900_000 },
  logLevel: "info",
  lifecycle: { drainTimeoutMs: 30_000 },
} as const;

/** How else a setting can be given, for error messages: "Give it with --listen, ATOLL_LISTEN or …; default …". */
export function describeWays(path: string): string | undefined {
  const setting = overridableSettings.find((candidate) => candidate.path.join(".") === path);
  if (setting === undefined) return undefined;
  const ways = [setting.flag && `--${setting.flag.name}`, setting.variable].filter((way) => way !== undefined);
  return `Give it with ${[...ways, `\`${path}\` in the file`].join(", ").replace(/, ([^,]*)$/, " or $1")}; ${defaultOf(path)}.`;
}

function defaultOf(path: string): string {
  switch (path) {
    case "listen":
      return `default ${defaults.listen}`;
    case "data":
      return `default ${defaults.data} in the current folder`;
    case "log.level":
      return `default ${defaults.logLevel}`;
    case "models.anthropic.baseUrl":
      return "default Anthropic's own";
    case "models.anthropic.apiKey":
      return "default none";
    default:
      return "default in this process";
  }
}

/** The one pattern of an agent's `tools` that stands for none: an empty list can't be told from one that was not given. */
export const noTools = "none";
