/** A session service with a real store, for tests of its neighbours: over HTTP/2 behind the mesh's door, and in memory. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { onTestFinished } from "vitest";
import { Scope as AuthScope } from "../../gen/atoll/auth/v1/options_pb.ts";
import { QueueMode } from "../../gen/atoll/event/v1/run_events_pb.ts";
import type { SubmitMessageResponse } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { createAuthenticate } from "../../services/kernel/auth/authenticate.ts";
import type { Principal } from "../../services/kernel/auth/principal.ts";
import { createSignedTokens, type SignedTokens } from "../../services/kernel/auth/signed-tokens.ts";
import type { Bus } from "../../services/kernel/bus/bus.ts";
import { MemoryBus } from "../../services/kernel/bus/memory/memory-bus.ts";
import { systemClock } from "../../services/kernel/clock.ts";
import type { ResolvedAgent } from "../../services/kernel/config/resolved-config.ts";
import { newId } from "../../services/kernel/id.ts";
import { createLog } from "../../services/kernel/log.ts";
import { callValues } from "../../services/kernel/rpc/call-context.ts";
import { openEdge } from "../../services/kernel/rpc/edge/edge.ts";
import { createServerOptions } from "../../services/kernel/rpc/gate/server-options.ts";
import { connectPeer } from "../../services/kernel/rpc/hops/directory.ts";
import { createHopInterceptor } from "../../services/kernel/rpc/hops/hop-interceptor.ts";
import { RawSessionService } from "../../services/kernel/rpc/hops/raw-session-service.ts";
import { defaultListenerLimits } from "../../services/kernel/rpc/listener/listener-limits.ts";
import { configuredAgents } from "../../services/mesh/configured-agents.ts";
import { startSession } from "../../services/session/register.ts";
import type { SessionSettings } from "../../services/session/session-deps.ts";
import { openSessionStore } from "../../services/session/store/open-session-store.ts";
import type { SessionStore } from "../../services/session/store/session-store.ts";
import { checkReasons } from "./check-reasons.ts";

const signingKey = new Uint8Array(32).fill(5);
export const localToken = `atl_${"s".repeat(43)}`;
export const workerToken = `atw_${"s".repeat(43)}`;

export const person: Principal = {
  tenant: "local",
  name: "user:ada",
  scopes: new Set([AuthScope.ADMIN]),
  origin: undefined,
  run: undefined,
};

/** Options of a call for somebody. */
export const as = (principal: Principal) => ({ contextValues: callValues(principal, "") });

/** The agent of tests that name none. */
export const mainAgent: ResolvedAgent = {
  ...{
    id: "main",
    displayName: "Main",
    description: "",
    model: "test/scripted",
    instructions: "Be brief.",
    tools: ["*"],
  },
  ...{ maxSteps: 8, maxOutputTokens: 1_000, thinkingTokens: 0, maxDurationMs: 60_000, queueMode: "followup" },
  ...{ historyMessages: 100, parallelTools: 4, pool: "", workerLabels: {} },
};

export const agentsOf = (...agents: readonly ResolvedAgent[]) =>
  configuredAgents({ agents: new Map(agents.map((agent) => [agent.id, agent])) });

const settings: SessionSettings = {
  leaseTtlMs: 5_000,
  renewIntervalMs: 100,
  reattachGraceMs: 500,
  cancelGraceMs: 2_000,
  maxAttempts: 5,
  maxQueuedRuns: 100,
  progressIntervalMs: 15_000,
  maxWatchers: 10_000,
  defaultAgent: "main",
  bindings: [],
  directScope: "channel_peer",
  agents: agentsOf(mainAgent),
  idleTimeoutMs: 1_800_000,
  timeZone: "UTC",
  retentionDays: 0,
  maxLogEvents: 0,
  maxLogBytes: 0,
};

export interface RunningSession {
  readonly port: number;
  readonly tokens: SignedTokens;
  /** To this instance over HTTP/2; the next instance on the same port is reached by it as well. */
  readonly remote: Transport;
  readonly inMemory: Transport;
  readonly client: Client<typeof RawSessionService>;
  /** What the service stores in, for tests that do its background work themselves. */
  readonly store: SessionStore;
  readonly bus: Bus;
  readonly counts: () => { readonly workers: number; readonly held: number };
  readonly folder: string;
  readonly drain: (deadlineMs: number) => Promise<void>;
  /** Cuts every connection and closes the store; the data stay. */
  readonly stop: () => Promise<void>;
}

interface SessionOptions {
  readonly folder?: string;
  readonly port?: number;
  readonly settings?: Partial<SessionSettings>;
  /** The wall clock of the service and its store. Default: the machine's. */
  readonly nowMs?: () => number;
  /** Default: one of its own. */
  readonly bus?: Bus;
}

/** Give `folder` and `port` of an instance that was stopped to start the next one in its place. */
export async function startSessionService(options: SessionOptions = {}): Promise<RunningSession> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), "atoll-session-"));
  if (options.folder === undefined) onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const log = createLog({ level: "silent", format: "json" });
  const tokens = createSignedTokens(signingKey, systemClock);
  const authenticate = createAuthenticate({
    localToken,
    workerToken,
    tokens,
    clock: systemClock,
    maxFailedPerMinute: 1_000,
  });
  const server = createServerOptions({ authenticate, clock: systemClock, log, streamIdleTimeoutMs: 900_000 });
  const clock = { ...systemClock, nowMs: options.nowMs ?? systemClock.nowMs };
  const store = await openSessionStore(folder, () => clock.nowMs());
  const bus = options.bus ?? new MemoryBus(() => undefined);
  const part = await startSession({
    store,
    bus,
    clock,
    log,
    tokens,
    instanceId: newId("ins"),
    settings: { ...settings, ...options.settings },
  });
  const listener = await openEdge({
    host: "127.0.0.1",
    port: options.port ?? 0,
    limits: defaultListenerLimits,
    routes: part.routes,
    server,
    services: [RawSessionService],
    allowedHosts: [],
    allowedOrigins: [],
    page: (_request, response) => void response.end(),
  });
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= listener
      .close(0)
      .then(() => part.close())
      .then(() => store.close());
    return stopping;
  };
  onTestFinished(stop);
  const hop = createHopInterceptor("session", tokens, systemClock);
  const inMemory = checkReasons(connectPeer({ kind: "local", routes: part.routes }, hop, server));
  return {
    port: listener.port,
    tokens,
    remote: checkReasons(connectPeer({ kind: "remote", url: listener.url }, hop, server)),
    inMemory,
    client: createClient(RawSessionService, inMemory),
    store,
    bus,
    counts: part.counts,
    drain: part.drain,
    folder,
    stop,
  };
}

/** Takes a waiting run up as a worker does it; gives the principal of the token that it would get. */
export async function takeUp({ store }: Pick<RunningSession, "store">, runId: string): Promise<Principal> {
  await store.claimRuns({ limit: 1_000, events: () => [] });
  const run = await store.getRun({ tenant: person.tenant, principal: person.name }, runId);
  if (run === undefined) throw new Error(`there is no run ${runId}`);
  const { sessionId, agentId, epoch } = run;
  return { ...person, run: { sessionId, runId, agentId, epoch } };
}

/** Sends words to a session, a new one when none is named. */
export async function sendWords(
  { client }: Pick<RunningSession, "client">,
  words: string,
  { sessionId = "", agentId = "", parentSessionId = "", queueMode = QueueMode.UNSPECIFIED as QueueMode } = {},
): Promise<SubmitMessageResponse & { readonly sessionId: string }> {
  const requestId = newId("req");
  const made =
    sessionId === "" ? await client.createSession({ requestId, agentId, parentSessionId }, as(person)) : undefined;
  const id = made?.session?.sessionId ?? sessionId;
  const message = { content: [{ block: { case: "text" as const, value: { text: words } } }] };
  const submitted = await client.submitMessage({ requestId, sessionId: id, message, queueMode }, as(person));
  return { ...submitted, sessionId: id };
}
