/** The tool router: its calls and its MCP servers, which it keeps running until it is closed. */
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { ToolRouterService } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { registerService } from "../kernel/rpc/register-service.ts";
import type { BlobStore } from "../kernel/store/blob-store.ts";
import type { Caller } from "./caller.ts";
import { CallGate } from "./calls/call-tool.ts";
import { createRequireRun, type RunReader } from "./calls/require-run.ts";
import type { CallLedger } from "./ledger/call-ledger.ts";
import { sweepCallsEvery } from "./ledger/sweep-calls.ts";
import { ArgumentChecks } from "./schema/checking/argument-checks.ts";
import type { McpServerSettings } from "./servers/server-settings.ts";
import { ToolServers } from "./servers/tool-servers.ts";
import { createToolRouterService } from "./toolrouter-service.ts";

export interface ToolRouterDeps {
  readonly ledger: CallLedger;
  readonly blobs: BlobStore;
  /** The MCP servers by name. */
  readonly servers: ReadonlyMap<string, McpServerSettings>;
  /** The tool patterns of each agent, such as `filesystem.*`; an agent without an entry may use no tool, unless none has one. */
  readonly agentTools: ReadonlyMap<string, readonly string[]>;
  readonly log: Log;
  readonly clock: Clock;
  /** Names this life of this process in the ledger: a call that another one left open is in doubt. */
  readonly instanceId: string;
  /** Who calls, and in which run's name. */
  readonly callerOf: (context: HandlerContext) => Caller;
  /** Who knows which runs are at work. */
  readonly session: RunReader;
}

export interface ToolRouterPart {
  /** May be called for several routers: they share the servers and the calls. */
  readonly routes: (router: ConnectRouter) => void;
  /** MCP servers that answer, and calls that run. */
  readonly counts: () => { readonly readyServers: number; readonly calls: number };
  /** Begins to connect to the servers and returns at once. Until then they are starting. */
  readonly startServers: () => void;
  /** Ends the MCP servers; calls in flight end as unknown and are recorded. The stores stay open. */
  readonly close: () => Promise<void>;
}

/** How long `close` may take: a server that heeds no signal takes 4 s (README, Bounds of a stop), the ledger the rest. */
export const closeTimeoutMs = 6_000;

/** Nothing of its servers is started yet. */
export function startToolRouter(deps: ToolRouterDeps): ToolRouterPart {
  const servers = new ToolServers(deps);
  const checks = new ArgumentChecks(deps);
  const gate = new CallGate({ ...deps, servers, checks });
  const service = createToolRouterService({
    ...{ ...deps, servers, gate },
    requireRun: createRequireRun(deps.session, deps.clock),
  });
  const sweeping = sweepCallsEvery(deps);
  return {
    routes: (router) => registerService(router, ToolRouterService, service),
    counts: () => ({
      readyServers: servers.all.filter(({ state }) => state.kind === "ready").length,
      calls: gate.runningCalls,
    }),
    startServers: () => servers.start(),
    async close() {
      sweeping.stop();
      await servers.stop();
      checks.close();
      await gate.whenIdle();
    },
  };
}
