/**
 * Wires the chosen services into one process (L1): each is handed clients of its peers, in memory or over HTTP/2, and
 * can't tell which. This folder is the only one that knows them all.
 */
import { Scope as AuthScope } from "../../gen/atoll/auth/v1/options_pb.ts";
import { InstanceService } from "../../gen/atoll/internal/v1/instance_service_pb.ts";
import { type LinkDesk, linkTtlMs } from "../gateway/admin/link-desk.ts";
import { localTenant } from "../kernel/auth/principal.ts";
import { type Clock, systemClock } from "../kernel/clock.ts";
import { makeDataDir } from "../kernel/config/folders/data-dir.ts";
import { partFolders } from "../kernel/config/folders/part-folders.ts";
import type { ResolvedConfig } from "../kernel/config/resolved-config.ts";
import { newId } from "../kernel/id.ts";
import { createLifecycle, type Lifecycle } from "../kernel/lifecycle.ts";
import { createLog, type Log } from "../kernel/log.ts";
import { builtPage, readVersion } from "../kernel/package-files.ts";
import { Draining } from "../kernel/rpc/gate/draining.ts";
import { createServerOptions } from "../kernel/rpc/gate/server-options.ts";
import { type ServiceName, serviceNames } from "../kernel/service-names.ts";
import type { StoreUnavailable } from "../kernel/store/store-errors.ts";
import { describeInstance, registerInstance } from "./describe-instance.ts";
import { openKeys } from "./open-keys.ts";
import { openPort, type Port } from "./open-port.ts";
import { serveAgent } from "./serve-agent.ts";
import { serveGateway } from "./serve-gateway.ts";
import { serveSession } from "./serve-session.ts";
import { serveToolRouter } from "./serve-toolrouter.ts";
import { ServedHere } from "./served-here.ts";
import type { Wiring } from "./wiring.ts";

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

type StartOptions = MeshOptions &
  Required<Pick<MeshOptions, "log" | "clock" | "version" | "webFolder" | "onStoreBroken">>;

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
  const defaults = {
    clock: systemClock,
    version: readVersion(),
    webFolder: builtPage(),
    onStoreBroken: exitAtOnce(log),
  };
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
  const { config, log, clock, version } = options;
  const startedAtMs = clock.nowMs();
  const services = new Set<ServiceName>(options.services ?? serviceNames);
  await partFolders(config.dataDir, config.workspaceDir);
  await makeDataDir(config.dataDir);
  const keys = await openKeys(config, services, clock);
  const { authenticate, signing } = keys;
  const draining = new Draining();
  const { streamIdleTimeoutMs } = config.limits;
  const server = createServerOptions({ authenticate, clock, log, streamIdleTimeoutMs, draining });
  const wiring: Wiring = {
    config,
    services,
    log,
    clock,
    version,
    instanceId: newId("ins", clock),
    keys,
    lifecycle,
    served: new ServedHere({ config, clock, server, signer: signing?.signer, hasGateway: services.has("gateway") }),
    storeOptions: { onBroken: options.onStoreBroken },
  };
  let port: Port | undefined;
  const session =
    services.has("session") && signing !== undefined ? await serveSession(wiring, signing.signer) : undefined;
  const toolRouter = services.has("toolrouter") ? await serveToolRouter(wiring) : undefined;
  const agent = services.has("agent") ? await serveAgent(wiring) : undefined;
  const connections = (): number => port?.connections() ?? 0;
  const describe = () => describeInstance(wiring, { startedAtMs, connections, session, agent });
  const links =
    services.has("gateway") && signing !== undefined
      ? await serveGateway(wiring, signing, { url: () => port?.url ?? "", describe })
      : undefined;
  if (links === undefined) wiring.served.addToPort([InstanceService], (router) => registerInstance(router, describe));
  port = await openPort(wiring, { server, draining, webFolder: options.webFolder });
  if (agent !== undefined && session !== undefined) {
    await Promise.race([agent.worker.attached(), clock.sleep(firstAttachMs)]);
  }
  port.announce();
  // Last: what their start takes would be taken from ours, and a turn waits for those that it needs.
  toolRouter?.startServers();
  const { url } = port;
  return { url, token: signing?.localToken ?? "", lifecycle, connections, createLink: () => createLink(links) };
}

function createLink(links: LinkDesk | undefined): string {
  if (links === undefined) throw new Error("this process has no gateway");
  const principal = {
    tenant: localTenant,
    name: "user:local",
    scopes: new Set([AuthScope.ADMIN, AuthScope.OPERATOR]),
    origin: undefined,
    run: undefined,
  };
  return links.create(principal, linkTtlMs).url;
}
