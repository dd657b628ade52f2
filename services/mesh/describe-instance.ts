/** What this process says of itself: to its own gateway, and to those of other processes. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ConnectRouter } from "@connectrpc/connect";
import { type InstanceStatus, InstanceStatusSchema } from "../../gen/atoll/admin/v1/admin_service_pb.ts";
import { GetInstanceResponseSchema, InstanceService } from "../../gen/atoll/internal/v1/instance_service_pb.ts";
import { registerService } from "../kernel/rpc/register-service.ts";
import type { Wiring } from "./wiring.ts";

/** What the parts of this process know; undefined without the part. */
export interface InstanceParts {
  readonly startedAtMs: number;
  readonly connections: () => number;
  readonly session:
    | {
        readonly counts: () => { readonly workers: number; readonly held: number };
        readonly countQueued: () => Promise<number>;
      }
    | undefined;
  readonly agent:
    | { readonly counts: () => { readonly cachedSessions: number; readonly cachedSessionsCapacity: number } }
    | undefined;
}

export async function describeInstance(wiring: Wiring, parts: InstanceParts): Promise<InstanceStatus> {
  const { workers = 0, held = 0 } = parts.session?.counts() ?? {};
  return create(InstanceStatusSchema, {
    instanceId: wiring.instanceId,
    version: wiring.version,
    startedAt: timestampFromMs(parts.startedAtMs),
    services: [...wiring.services],
    connections: parts.connections(),
    workers,
    activeRuns: held,
    queuedRuns: (await parts.session?.countQueued()) ?? 0,
    rssBytes: BigInt(process.memoryUsage.rss()),
    ...parts.agent?.counts(),
    draining: wiring.lifecycle.isDraining(),
  });
}

/** Serves it to the gateways of other processes. */
export function registerInstance(router: ConnectRouter, describe: () => Promise<InstanceStatus>): void {
  registerService(router, InstanceService, {
    getInstance: async () => create(GetInstanceResponseSchema, { instance: await describe() }),
  });
}
