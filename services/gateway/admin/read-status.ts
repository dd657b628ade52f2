/** How the mesh is: what this process knows of itself, what its peers' processes say of theirs, and what their services answer. */
import { create } from "@bufbuild/protobuf";
import { type CallOptions, createClient, type Transport } from "@connectrpc/connect";
import {
  type GetStatusResponse,
  GetStatusResponseSchema,
  Health as HealthState,
  type InstanceStatus,
} from "../../../gen/atoll/admin/v1/admin_service_pb.ts";
import { AgentService } from "../../../gen/atoll/agent/v1/agent_service_pb.ts";
import { Scope as AuthScope } from "../../../gen/atoll/auth/v1/options_pb.ts";
import { InstanceService } from "../../../gen/atoll/internal/v1/instance_service_pb.ts";
import { ServerState } from "../../../gen/atoll/tool/v1/tool_pb.ts";
import { ToolRouterService } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { localTenant } from "../../kernel/auth/principal.ts";
import { callValues } from "../../kernel/rpc/call-context.ts";
import { RawSessionService } from "../../kernel/rpc/hops/raw-session-service.ts";

export interface StatusParts {
  readonly transports: { readonly session: Transport; readonly agent: Transport; readonly toolRouter: Transport };
  /** This process. */
  readonly own: () => Promise<InstanceStatus>;
  /** The processes that its peers are in, beside this one. */
  readonly others: readonly Transport[];
}

export async function readStatus({ transports, own, others }: StatusParts): Promise<GetStatusResponse> {
  const principal = {
    tenant: localTenant,
    name: "service:gateway",
    scopes: new Set([AuthScope.SESSIONS_READ, AuthScope.AGENTS_READ, AuthScope.TOOLS_READ, AuthScope.OPERATOR]),
    origin: undefined,
    run: undefined,
  };
  const call = { contextValues: callValues(principal, ""), timeoutMs: 5_000 };
  const status = create(GetStatusResponseSchema);
  const [instances] = await Promise.all([
    readInstances(own, others, call),
    askSession(status, transports.session, call),
    askAgent(status, transports.agent, call),
    askToolRouter(status, transports.toolRouter, call),
  ]);
  const sum = (of: (instance: InstanceStatus) => number): number => instances.reduce((all, each) => all + of(each), 0);
  return Object.assign(status, {
    components: status.components.sort((one, other) => (one.name < other.name ? -1 : 1)),
    instances,
    workers: sum(({ workers }) => workers),
    activeRuns: sum(({ activeRuns }) => activeRuns),
    queuedRuns: sum(({ queuedRuns }) => queuedRuns),
  });
}

/** Each process once, however many of the peers it is; one that does not answer is a component that is down. */
async function readInstances(
  own: StatusParts["own"],
  others: StatusParts["others"],
  call: CallOptions,
): Promise<InstanceStatus[]> {
  const answers = await Promise.all([
    own(),
    ...others.map((transport) =>
      createClient(InstanceService, transport)
        .getInstance({}, call)
        .then(({ instance }) => instance)
        .catch(() => undefined),
    ),
  ]);
  const known = answers.flatMap((instance) =>
    instance === undefined ? [] : [[instance.instanceId, instance] as const],
  );
  return [...new Map(known).values()];
}

async function askSession(status: GetStatusResponse, transport: Transport, call: CallOptions): Promise<void> {
  await askPart(status, "session", async () => {
    const { total, active } = await createClient(RawSessionService, transport).countSessions({}, call);
    Object.assign(status, { sessions: total, activeSessions: active });
  });
}

async function askAgent(status: GetStatusResponse, transport: Transport, call: CallOptions): Promise<void> {
  await askPart(status, "agent", async () => void (await createClient(AgentService, transport).listAgents({}, call)));
}

async function askToolRouter(status: GetStatusResponse, transport: Transport, call: CallOptions): Promise<void> {
  await askPart(status, "toolrouter", async () => {
    const { servers } = await createClient(ToolRouterService, transport).listServers({}, call);
    for (const { name, state, problem } of servers) {
      // One that a person switched off has no problem; one that the configuration can't use has.
      const isOff = state === ServerState.STOPPED && problem === "";
      const isFine = state === ServerState.READY || isOff || state === ServerState.STARTING;
      addComponent(status, `mcp/${name}`, isFine ? HealthState.OK : HealthState.DEGRADED, problem);
    }
  });
}

async function askPart(status: GetStatusResponse, name: string, ask: () => Promise<void>): Promise<void> {
  try {
    await ask();
    addComponent(status, name, HealthState.OK, "");
  } catch (error) {
    addComponent(status, name, HealthState.DOWN, String(error));
  }
}

function addComponent(status: GetStatusResponse, name: string, health: HealthState, problem: string): void {
  status.components.push({ $typeName: "atoll.admin.v1.ComponentStatus", name, health, problem });
}
