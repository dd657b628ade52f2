// grpc.health.v1.Health over the health board, so that load balancers and probes of any language can ask.
// Protocol: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import {
  type Health,
  HealthCheckResponse_ServingStatus as WireStatus,
} from "../../../../gen/grpc/health/v1/health_pb.ts";
import { type HealthBoard, TooManyWatchersError, type WatchedStatus } from "./health-board.ts";

/**
 * Check: NOT_FOUND for a service that is not on the board. Watch: SERVICE_UNKNOWN for it, until it is there;
 * RESOURCE_EXHAUSTED over the board's maximum of watches. List: what is on the board now.
 */
export function createHealthService(board: HealthBoard): ServiceImpl<typeof Health> {
  return {
    check({ service }) {
      const status = board.get(service);
      if (status === undefined) throw new ConnectError(`no service "${service}" is served here`, Code.NotFound);
      return { status: toWire(status) };
    },
    list() {
      const statuses = [...board.entries()].map(([service, status]) => [service, { status: toWire(status) }] as const);
      return { statuses: Object.fromEntries(statuses) };
    },
    async *watch({ service }, { signal }) {
      try {
        for await (const status of board.watch(service, signal)) yield { status: toWire(status) };
      } catch (error) {
        if (!(error instanceof TooManyWatchersError)) throw error;
        throw new ConnectError(error.message, Code.ResourceExhausted);
      }
    },
  };
}

function toWire(status: WatchedStatus): WireStatus {
  switch (status) {
    case "serving":
      return WireStatus.SERVING;
    case "not_serving":
      return WireStatus.NOT_SERVING;
    case "service_unknown":
      return WireStatus.SERVICE_UNKNOWN;
  }
}
