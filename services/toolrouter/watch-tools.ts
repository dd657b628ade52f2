/**
 * Streams changes of tools and servers to one watcher.
 *
 * Keeps L7: what is kept for a watcher is what it was told last, not a queue: one that reads slowly is told the
 * difference to now, and misses the states between.
 */
import { create, equals } from "@bufbuild/protobuf";
import { ServerSchema, ToolSchema } from "../../gen/atoll/tool/v1/tool_pb.ts";
import { type WatchToolsResponse, WatchToolsResponseSchema } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import type { Clock } from "../kernel/clock.ts";
import { describeServer } from "./describe-server.ts";
import type { ToolServers } from "./tool-servers.ts";

/** Changes that come together are told together. */
const gatherMs = 20;

/** The first response tells how things are. Ends when the signal aborts. */
export async function* watchTools(
  servers: ToolServers,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<WatchToolsResponse> {
  let changed = Promise.withResolvers<void>();
  const subscription = servers.onChange(() => changed.resolve());
  const stop = (): void => changed.resolve();
  signal.addEventListener("abort", stop, { once: true });
  try {
    let told = takeSnapshot(servers);
    yield create(WatchToolsResponseSchema, { servers: [...told.servers.values()], tools: [...told.tools.values()] });
    while (!signal.aborted) {
      await changed.promise;
      await clock.sleep(gatherMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      changed = Promise.withResolvers<void>();
      const now = takeSnapshot(servers);
      const difference = compare(told, now);
      told = now;
      if (difference !== undefined) yield difference;
      // An abort between the two lines above has resolved the promise that was thrown away.
      if (signal.aborted) return;
    }
  } finally {
    subscription.stop();
    signal.removeEventListener("abort", stop);
  }
}

type Snapshot = ReturnType<typeof takeSnapshot>;

function takeSnapshot(servers: ToolServers) {
  return {
    servers: new Map(servers.all.map((supervisor) => [supervisor.name, describeServer(supervisor)])),
    tools: new Map(servers.tools().map(({ tool }) => [tool.name, tool])),
  };
}

function compare(told: Snapshot, now: Snapshot): WatchToolsResponse | undefined {
  const servers = [...now.servers.values()].filter((server) => {
    const before = told.servers.get(server.name);
    return before === undefined || !equals(ServerSchema, before, server);
  });
  const tools = [...now.tools.values()].filter((tool) => {
    const before = told.tools.get(tool.name);
    return before === undefined || !equals(ToolSchema, before, tool);
  });
  const removedTools = [...told.tools.keys()].filter((name) => !now.tools.has(name));
  if (servers.length + tools.length + removedTools.length === 0) return undefined;
  return create(WatchToolsResponseSchema, { servers, tools, removedTools });
}
