/**
 * Wires the chosen services into one process (L1): each is handed clients of its peers, in memory or over HTTP/2, and
 * can't tell which. The only file that knows them all.
 */
import { readFileSync } from "node:fs";
import type { DescService } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type ConnectRouter, createClient, type Transport } from "@connectrpc/connect";
import { AdminService } from "../gen/atoll/admin/v1/admin_service_pb.ts";
import { AgentService } from "../gen/atoll/agent/v1/agent_service_pb.ts";
import { Scope as AuthScope } from "../gen/atoll/auth/v1/options_pb.ts";
import { QueueMode } from "../gen/atoll/event/v1/run_events_pb.ts";
import { GatewayService } from "../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { SessionService } from "../gen/atoll/session/v1/session_service_pb.ts";
import { ToolRouterService } from "../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { Health } from "../gen/grpc/health/v1/health_pb.ts";
import type { AgentDeps, AgentSettings } from "./agent/agent-deps.ts";
import { createModels } from "./agent/models/create-models.ts";
import { createAgent } from "./agent/register.ts";

import { LinkDesk, linkTtlMs } from "./gateway/admin/link-desk.ts";
import { readStatus } from "./gateway/admin/read-status.ts";
import { startGateway } from "./gateway/register.ts";
import { createWebPage } from "./gateway/web-page.ts";
import { createAuthenticate } from "./kernel/auth/authenticate.ts";
import { createMeshProver } from "./kernel/auth/mesh-proof.ts";
import { openMeshSecrets, openPeerSecrets } from "./kernel/auth/mesh-secrets.ts";
import { localTenant } from "./kernel/auth/principal.ts";
import { createSignedTokens, createTokenVerifier } from "./kernel/auth/signed-tokens.ts";
import { MemoryBus } from "./kernel/bus/memory/memory-bus.ts";
import { type Clock, systemClock } from "./kernel/clock.ts";
import { makeDataDir, makeWorkspaceDir } from "./kernel/config/folders/data-dir.ts";
import { partFolders } from "./kernel/config/folders/part-folders.ts";
import { redactConfig } from "./kernel/config/redact-config.ts";
import type { ResolvedAgent, ResolvedConfig } from "./kernel/config/resolved-config.ts";
import { newId } from "./kernel/id.ts";
import { createLifecycle, type Lifecycle } from "./kernel/lifecycle.ts";
import { createLog, type Log } from "./kernel/log.ts";
import { builtPage, readVersion } from "./kernel/package-files.ts";
import { principalOf, scopeOf } from "./kernel/rpc/call-context.ts";
import { createHealthService } from "./kernel/rpc/discovery/health.ts";
import { createHealthBoard, wholeProcess } from "./kernel/rpc/discovery/health-board.ts";
import { reflectionServices, registerReflection } from "./kernel/rpc/discovery/reflection.ts";
import { openEdge } from "./kernel/rpc/edge/edge.ts";
import { Draining } from "./kernel/rpc/gate/draining.ts";
import { createServerOptions } from "./kernel/rpc/gate/server-options.ts";
import { connectPeer, type Peer } from "./kernel/rpc/hops/directory.ts";
import { createHopInterceptor } from "./kernel/rpc/hops/hop-interceptor.ts";
import { PeerMissing } from "./kernel/rpc/hops/peer-missing.ts";
import { RawSessionService } from "./kernel/rpc/hops/raw-session-service.ts";
import { configuredLimits } from "./kernel/rpc/listener/configured-limits.ts";
import { limitsOfHops } from "./kernel/rpc/listener/listener-limits.ts";
import { publicRpcOptions } from "./kernel/rpc/register-service.ts";
import { type ServiceName, serviceNames } from "./kernel/service-names.ts";
import { openBlobStore } from "./kernel/store/open-blob-store.ts";
import type { StoreOptions, StoreUnavailable } from "./kernel/store/store-errors.ts";
import { startSession } from "./session/register.ts";
import { openSessionStore } from "./session/store/open-session-store.ts";
import { openCallLedger } from "./toolrouter/ledger/open-call-ledger.ts";
import { closeTimeoutMs, startToolRouter } from "./toolrouter/register.ts";
import { settingsOf } from "./toolrouter/servers/server-settings.ts";

/** A gateway watches each session that is read there once, all on one stream a tenant. */
const maxWatchersOfStream = 10_000;

export interface MeshOptions {
  readonly config: ResolvedConfig;
  /** The services of this process. Default: all. */
  readonly services?: readonly ServiceName[];
  /** Default: as the configuration says, to standard error. */
  readonly log?: Log;
  readonly clock?: Clock;
  /** Default: Atoll's. */
  readonly version?: string;
  /** Where the built web page is; it need not be there. Default: where the package has it. */
  readonly webFolder?: string;
  /** See StoreOptions.onBroken: must end the process. Default: says so in the log and ends it with exit code 1. */
  readonly onStoreBroken?: (error: StoreUnavailable) => void;
}

type StartOptions = MeshOptions & Required<Pick<MeshOptions, "log" | "version" | "webFolder" | "onStoreBroken">>;

export interface Mesh {
  /** Where a client on this machine reaches it. */
  readonly url: string;
  /**
   * The token of local programs, which may do everything: `authorization: Bearer <token>`. Empty in a process with neither
   * gateway nor session service, which holds no secret of the mesh.
   */
  readonly token: string;
  readonly lifecycle: Lifecycle;
  /** Open connections to the port. */
  readonly connections: () => number;
  /** Makes a one-time link to the page. Throws when this process has no gateway. */
  readonly createLink: () => string;
}

/** How long the start waits for the worker of this process to be welcomed by the session service. */
const firstAttachMs = 2_000;

/** Starts the services and opens the port. What it throws has stopped everything that it had started. */
export async function startMesh(options: MeshOptions): Promise<Mesh> {
  const log = options.log ?? createLog(options.config.log);
  const lifecycle = createLifecycle({ log });
  const defaults = { version: readVersion(), webFolder: builtPage(), onStoreBroken: exitAtOnce(log) };
  try {
    return await start({ ...defaults, ...options, log }, lifecycle);
  } catch (error) {
    await lifecycle.closeNow();
    throw error;
  }
}

function exitAtOnce(log: Log): (error: StoreUnavailable) => void {
  return (error) => {
    log.error(
      { error },
      "the disk did not confirm a write: the process ends at once; check the disk, then start again",
    );
    process.exit(1);
  };
}

async function start(options: StartOptions, lifecycle: Lifecycle): Promise<Mesh> {
  const { config, log, version } = options;
  const clock = options.clock ?? systemClock;
  const nowMs = (): number => clock.nowMs();
  const startedAtMs = clock.nowMs();
  const names = new Set<ServiceName>(options.services ?? serviceNames);
  await partFolders(config.dataDir, config.workspaceDir);
  await makeDataDir(config.dataDir);
  // Who gives out runs or lets people in signs; workers and tool routers only check, and hold nothing to sign with.
  const signs = names.has("session") || names.has("gateway");
  const secrets = signs ? openMeshSecrets(config.dataDir) : undefined;
  const peerSecrets = secrets === undefined ? await openPeerSecrets(config.dataDir, clock) : undefined;
  const signer = secrets && createSignedTokens(secrets.signingKey, clock);
  const tokens = signer ?? (peerSecrets && createTokenVerifier(peerSecrets.publicKey, clock));
  const workerToken = (secrets ?? peerSecrets)?.workerToken;
  if (tokens === undefined || workerToken === undefined) throw new Error("a process of the mesh has no keys");
  const authenticate = createAuthenticate({
    localToken: secrets?.localToken,
    workerToken,
    tokens,
    clock,
    maxFailedPerMinute: config.limits.maxFailedAuthPerMinute,
  });
  const { streamIdleTimeoutMs, progressIntervalMs } = config.limits;
  const draining = new Draining();
  const server = createServerOptions({ authenticate, clock, log, streamIdleTimeoutMs, draining });
  const instanceId = newId("ins", clock);
  const broken: StoreOptions = { onBroken: options.onStoreBroken };
  const health = createHealthBoard();
  const served: DescService[] = [];
  const routes: ((router: ConnectRouter) => void)[] = [];
  const local = new Map<ServiceName, (router: ConnectRouter) => void>();

  const peer = (name: Exclude<ServiceName, "gateway">): Transport => {
    const url = config.peers[name];
    const here = local.get(name);
    if (here === undefined && url === undefined) {
      throw new PeerMissing(
        `the ${name} service is neither in this process nor named: give --${name}, ATOLL_${name.toUpperCase()}_URL or \`peers.${name}\` in the file`,
      );
    }
    const place: Peer = here !== undefined ? { kind: "local", routes: here } : { kind: "remote", url: url ?? "" };
    return connectPeer(place, createHopInterceptor(name, signer, clock), server);
  };

  const counts = { workers: 0, held: 0 };
  let readCounts = (): typeof counts => counts;
  if (names.has("session") && signer !== undefined) {
    const store = await openSessionStore(config.dataDir, nowMs, {
      ...broken,
      onWarning: (facts, message) => log.warn({ service: "session", ...facts }, message),
    });
    await lifecycle.register({ name: "session store", close: () => store.close() });
    const bus = new MemoryBus((error) => log.error({ error: String(error) }, "a reader of the bus failed"));
    const { leaseTtlMs, renewIntervalMs, reattachGraceMs, cancelGraceMs, maxAttempts, maxQueuedRuns } = config.runs;
    const session = await startSession({
      store,
      bus,
      clock,
      log: log.child({ service: "session" }),
      tokens: signer,
      instanceId,
      settings: {
        leaseTtlMs,
        renewIntervalMs,
        reattachGraceMs,
        cancelGraceMs,
        maxAttempts,
        maxQueuedRuns,
        progressIntervalMs,
        maxWatchers: maxWatchersOfStream,
        defaultAgent: config.defaultAgent,
        ...config.sessions,
        queueModes: new Map([...config.agents].map(([id, agent]) => [id, queueModes[agent.queueMode]])),
      },
    });
    await lifecycle.register({
      name: "session",
      // A worker of this process works off its runs over the stream that it has.
      ...(names.has("agent") ? {} : { drain: (deadlineMs: number) => session.drain(deadlineMs) }),
      close: () => session.close(),
    });
    readCounts = () => session.counts();
    local.set("session", session.routes);
    if (!names.has("gateway")) add(SessionService, session.routes);
  }

  if (names.has("toolrouter")) {
    await makeWorkspaceDir(config.workspaceDir);
    const ledger = await openCallLedger(config.dataDir, nowMs, broken);
    await lifecycle.register({ name: "call ledger", close: () => ledger.close() });
    const toolRouter = startToolRouter({
      ledger,
      blobs: await openBlobStore(config.dataDir, nowMs),
      servers: new Map([...config.mcpServers].map(([name, each]) => [name, settingsOf(each, config.inheritedEnv)])),
      agentTools: new Map([...config.agents].map(([id, agent]) => [id, agent.tools])),
      log: log.child({ service: "toolrouter" }),
      clock,
      instanceId,
      callerOf: (context) => ({ scope: scopeOf(context), run: principalOf(context).run }),
      session: createClient(SessionService, peer("session")),
    });
    await lifecycle.register({ name: "toolrouter", close: () => toolRouter.close(), closeTimeoutMs });
    local.set("toolrouter", toolRouter.routes);
    if (!names.has("gateway")) add(ToolRouterService, toolRouter.routes);
  }

  let attached: Promise<void> = Promise.resolve();
  if (names.has("agent")) {
    const session = peer("session");
    const deps: AgentDeps = {
      session: createClient(RawSessionService, session),
      toolRouter: createClient(ToolRouterService, peer("toolrouter")),
      models: createModels(modelSettings(config), { clock, log: log.child({ service: "agent" }) }),
      agents: new Map([...config.agents].map(([id, agent]) => [id, agentSettings(agent)])),
      defaultAgent: config.defaultAgent,
      clock,
      log: log.child({ service: "agent" }),
      deltaWindowMs: config.runs.deltaWindowMs,
      cachedSessions: config.sessions.cachedSessions,
    };
    const agent = createAgent(deps, {
      ...{ workerId: newId("wrk", clock), capacity: config.runs.workerCapacity, version, workerToken },
    });
    agent.worker.start();
    await lifecycle.register({
      name: "agent",
      drain: () => agent.worker.drain(),
      close: () => agent.worker.close(),
    });
    attached = agent.worker.attached();
    local.set("agent", agent.routes);
    if (!names.has("gateway")) add(AgentService, agent.routes);
  }

  let url = "";
  let connections = (): number => 0;
  let links: LinkDesk | undefined;
  if (names.has("gateway") && signer !== undefined && secrets !== undefined) {
    const transports = { session: peer("session"), agent: peer("agent"), toolRouter: peer("toolrouter") };
    const desk = new LinkDesk(signer, clock, () => config.access.publicUrl ?? url);
    links = desk;
    const gateway = startGateway(
      {
        session: createClient(RawSessionService, transports.session),
        transports,
        clock,
        log: log.child({ service: "gateway" }),
        tokens: signer,
        progressIntervalMs,
      },
      {
        links: desk,
        config: () => redactConfig(config),
        prove: createMeshProver(secrets.localToken),
        status: () =>
          readStatus({
            transports,
            facts: {
              version,
              startedAt: timestampFromMs(startedAtMs),
              services: [...names],
              connections: connections(),
              workers: readCounts().workers,
              activeRuns: readCounts().held,
              rssBytes: BigInt(process.memoryUsage.rss()),
            },
          }),
      },
    );
    await lifecycle.register({ name: "gateway", close: () => gateway.close() });
    routes.push(gateway.routes);
    served.push(GatewayService, SessionService, AgentService, ToolRouterService, AdminService);
  }

  function add(service: DescService, registers: (router: ConnectRouter) => void): void {
    served.push(service);
    routes.push(registers);
  }

  served.push(Health);
  const { cert, key } = readTls(config);
  const listener = await openEdge({
    host: config.listen.host,
    port: config.listen.port,
    ...(cert === undefined || key === undefined ? {} : { tls: { cert, key } }),
    // Strangers come to a gateway; elsewhere only our own services call.
    limits: names.has("gateway") ? configuredLimits(config) : limitsOfHops(configuredLimits(config)),
    server,
    unary: config.rpc.unary,
    services: [...served, ...reflectionServices],
    routes(router) {
      for (const register of routes) register(router);
      router.service(Health, createHealthService(health), publicRpcOptions);
      registerReflection(router, served);
    },
    allowedHosts: config.access.allowedHosts,
    allowedOrigins: config.access.allowedOrigins,
    ...(config.access.publicUrl === undefined ? {} : { publicUrl: config.access.publicUrl }),
    onUndelivered: (path, error) =>
      log.debug({ path, error: String(error) }, "an answer was not taken: its reader left"),
    page: createWebPage(options.webFolder, config.access.publicUrl),
    onFault(fault) {
      if (fault.kind === "SOCKET_ERROR") log.debug({ ...fault }, "a peer left without a goodbye");
      else log.warn({ ...fault }, "a connection was refused or cut");
    },
  });
  connections = () => listener.connections();
  ({ url } = listener);
  await lifecycle.register({
    name: "port",
    drain() {
      health.setAll("not_serving");
      listener.drain();
    },
    async close() {
      health.close();
      await draining.endCalls();
      await listener.close(lastAnswersMs);
    },
  });
  if (names.has("agent") && local.has("session")) await Promise.race([attached, clock.sleep(firstAttachMs)]);
  for (const service of served) health.set(service.typeName, "serving");
  health.set(wholeProcess, "serving");
  return {
    url,
    token: secrets?.localToken ?? "",
    lifecycle,
    connections,
    createLink() {
      if (links === undefined) throw new Error("this process has no gateway");
      const principal = {
        tenant: localTenant,
        name: "user:local",
        scopes: new Set([AuthScope.ADMIN]),
        origin: undefined,
        run: undefined,
      };
      return links.create(principal, linkTtlMs).url;
    },
  };
}

/** How long answers that are on their way may take to leave when everything else has drained. */
const lastAnswersMs = 1_000;

const queueModes = {
  followup: QueueMode.FOLLOWUP,
  steer: QueueMode.STEER,
  collect: QueueMode.COLLECT,
  interrupt: QueueMode.INTERRUPT,
  reject: QueueMode.REJECT,
} as const satisfies Record<ResolvedAgent["queueMode"], QueueMode>;

function agentSettings({ id, ...agent }: ResolvedAgent): AgentSettings {
  return { ...agent, agentId: id, queueMode: queueModes[agent.queueMode] };
}

function modelSettings(config: ResolvedConfig): Parameters<typeof createModels>[0] {
  const { anthropic, offline } = config.models;
  const named = [config.models.defaultModel, ...[...config.agents.values()].map((agent) => agent.model)];
  const models = [...anthropic.models, ...named];
  return {
    anthropic: { ...anthropic, apiKey: anthropic.apiKey ?? "", baseUrl: anthropic.baseUrl ?? "", models },
    offline,
  };
}

function readTls({ tls }: ResolvedConfig): { readonly cert?: Buffer; readonly key?: Buffer } {
  return tls === undefined ? {} : { cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) };
}
