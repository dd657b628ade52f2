/**
 * The configuration as the mesh uses it: read once at the start, complete, and never changed.
 *
 * Keeps: every value is present or is `undefined` on purpose; paths are absolute; units stand in the names. What a field
 * means, with its unit and default, is written in proto/atoll/config/v1.
 */
import type {
  LifecycleConfig,
  LimitsConfig,
  OfflineConfig,
  RunsConfig,
} from "../../../gen/atoll/config/v1/mesh_config_pb.ts";
import type { LogFormat, LogLevel } from "../log.ts";
import type { ScopeBinding } from "../scope-bindings.ts";
import type { ConfigWarning } from "./config-warning.ts";

/** The fields of a message, each present. */
type Complete<M> = { readonly [K in Exclude<keyof M, "$typeName" | "$unknown">]-?: NonNullable<M[K]> };

export type ResolvedLimits = Complete<LimitsConfig>;
/** `leaseTtlMs` exceeds twice `renewIntervalMs`. */
export type ResolvedRuns = Omit<Complete<RunsConfig>, "workerPool" | "workerLabels">;
/** What direct conversations share. */
export type DirectScope = "main" | "peer" | "channel_peer";
export type QueueMode = "followup" | "steer" | "collect" | "interrupt" | "reject";

export interface ResolvedConfig {
  /** The file that was read, absolute; undefined when there was none. */
  readonly configFile: string | undefined;
  /** What a person should know of the file and nothing stops. */
  readonly warnings: readonly ConfigWarning[];
  readonly listen: ListenAddress;
  readonly dataDir: string;
  readonly workspaceDir: string;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly access: ResolvedAccess;
  readonly limits: ResolvedLimits;
  readonly runs: ResolvedRuns;
  /** Of this process. */
  readonly worker: { readonly pool: string; readonly labels: Readonly<Record<string, string>> };
  readonly sessions: ResolvedSessions;
  readonly models: ResolvedModels;
  /** By id; `main` and `defaultAgent` are always among them. */
  readonly agents: ReadonlyMap<string, ResolvedAgent>;
  readonly defaultAgent: string;
  /** By the mesh's names; those that are switched off too. */
  readonly mcpServers: ReadonlyMap<string, ResolvedMcpServer>;
  /** What every MCP server inherits from the mesh's environment; its own `env` goes over it. */
  readonly inheritedEnv: Readonly<Record<string, string>>;
  readonly log: { readonly level: LogLevel; readonly format: LogFormat };
  readonly peers: ResolvedPeers;
  readonly rpc: { readonly unary: "fast" | "library" };
  readonly lifecycle: Complete<LifecycleConfig>;
}

export interface ResolvedSessions {
  readonly idleTimeoutMs: number;
  readonly directScope: DirectScope;
  /** In the order in which they are tried; their agents are among `agents`. */
  readonly bindings: readonly ScopeBinding[];
  readonly cachedSessions: number;
  /** An IANA name that this process knows; undefined is the machine's. */
  readonly timeZone: string | undefined;
  /** 0 keeps all, as do the other two. */
  readonly retentionDays: number;
  readonly maxLogEvents: number;
  readonly maxLogBytes: number;
}

export interface ListenAddress {
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
}

export interface ResolvedAccess {
  /** Lowercase, without port. */
  readonly allowedHosts: readonly string[];
  /** As browsers send them: scheme, host and port if it is not the scheme's own. */
  readonly allowedOrigins: readonly string[];
  /** Without a slash at its end; undefined for the listening address. */
  readonly publicUrl: string | undefined;
}

export interface ResolvedModels {
  /** Full, as those of agents. */
  readonly defaultModel: string;
  /** Other names → what they stand for, as it is written. */
  readonly aliases: ReadonlyMap<string, string>;
  readonly anthropic: ResolvedAnthropic;
  readonly offline: Complete<OfflineConfig>;
}

export interface ResolvedAnthropic {
  /** Undefined when there is no key: then only the offline model can answer. */
  readonly apiKey: string | undefined;
  /** Undefined for Anthropic's own. */
  readonly baseUrl: string | undefined;
  readonly maxRetries: number;
  readonly timeoutMs: number;
  readonly silenceMs: number;
  readonly models: readonly string[];
}

export interface ResolvedAgent {
  readonly id: string;
  readonly displayName: string;
  readonly description: string;
  readonly model: string;
  readonly instructions: string;
  /** Patterns; empty for no tool, `*` alone (the default) for all. */
  readonly tools: readonly string[];
  readonly maxSteps: number;
  readonly maxOutputTokens: number;
  readonly thinkingTokens: number;
  readonly maxDurationMs: number;
  readonly queueMode: QueueMode;
  readonly historyMessages: number;
  readonly parallelTools: number;
  /** The pool of workers that run it; empty, the default, for the one without a name. */
  readonly pool: string;
  /** What a worker must have of labels. */
  readonly workerLabels: Readonly<Record<string, string>>;
}

export type ResolvedMcpServer = StdioMcpServer | HttpMcpServer;

interface McpServerBase {
  readonly name: string;
  /** For people; empty for what the server calls itself. */
  readonly title: string;
  readonly disabled: boolean;
  /** Why it can't be used; then it is `disabled`, and the rest is as much as could be read. Empty when nothing is wrong. */
  readonly problem: string;
  /** Names of its tools, in which `*` stands for any letters; empty for all. */
  readonly includeTools: readonly string[];
  readonly excludeTools: readonly string[];
  /** As it is written, for showing: what variables put in can be a secret. */
  readonly written: {
    readonly command: string;
    readonly args: readonly string[];
    readonly url: string;
    readonly env: Readonly<Record<string, string>>;
    readonly headers: Readonly<Record<string, string>>;
  };
  readonly startTimeoutMs: number;
  readonly callTimeoutMs: number;
  readonly callMaxDurationMs: number;
  readonly repeatableTools: readonly string[];
  readonly trusted: boolean;
}

export interface StdioMcpServer extends McpServerBase {
  readonly transport: "stdio";
  readonly command: string;
  readonly args: readonly string[];
  /** Beside `inheritedEnv`, with variables put in: secrets. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

export interface HttpMcpServer extends McpServerBase {
  readonly transport: "http";
  readonly url: string;
  /** With variables put in: secrets. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Addresses of the other services; undefined means in this process. */
export interface ResolvedPeers {
  readonly session: string | undefined;
  readonly agent: string | undefined;
  readonly toolrouter: string | undefined;
}
