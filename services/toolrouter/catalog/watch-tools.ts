/**
 * Streams changes of tools and servers to one watcher.
 *
 * Keeps L7: what is kept for a watcher is what it was told last, not a queue: one that reads slowly is told the
 * difference to now, and misses the states between.
 */
import { create, equals } from "@bufbuild/protobuf";
import { type Server, ServerSchema } from "../../../gen/atoll/tool/v1/tool_pb.ts";
import {
  type WatchToolsResponse,
  WatchToolsResponseSchema,
} from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import type { Clock } from "../../kernel/clock.ts";
import { describeServer } from "../servers/describe-server.ts";
import type { ToolServers } from "../servers/tool-servers.ts";
import { maxPageBytes } from "./list-tools.ts";
import type { CatalogTool } from "./tool-catalog.ts";

/** Changes that come together are told together. */
const gatherMs = 20;
/** What the wire adds to a name. */
const entryOverhead = 8;

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
    yield* split({ servers: [...told.servers.values()], tools: [...told.tools.values()], removedTools: [] });
    while (!signal.aborted) {
      await changed.promise;
      await clock.sleep(gatherMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      changed = Promise.withResolvers<void>();
      const now = takeSnapshot(servers);
      const difference = compare(told, now);
      told = now;
      if (difference !== undefined) yield* split(difference);
      // An abort between the two lines above has resolved the promise that was thrown away.
      if (signal.aborted) return;
    }
  } finally {
    subscription.stop();
    signal.removeEventListener("abort", stop);
  }
}

type Snapshot = ReturnType<typeof takeSnapshot>;

interface Difference {
  readonly servers: readonly Server[];
  readonly tools: readonly CatalogTool[];
  readonly removedTools: readonly string[];
}

function takeSnapshot(servers: ToolServers) {
  return {
    servers: new Map(servers.all.map((supervisor) => [supervisor.name, describeServer(supervisor)])),
    tools: new Map(servers.tools().map((entry) => [entry.tool.name, entry])),
  };
}

function compare(told: Snapshot, now: Snapshot): Difference | undefined {
  const servers = [...now.servers.values()].filter((server) => {
    const before = told.servers.get(server.name);
    return before === undefined || !equals(ServerSchema, before, server);
  });
  const tools = [...now.tools.values()].filter((entry) => {
    const before = told.tools.get(entry.tool.name);
    return before === undefined || !isSame(before, entry);
  });
  const removedTools = [...told.tools.keys()].filter((name) => !now.tools.has(name));
  return servers.length + tools.length + removedTools.length === 0 ? undefined : { servers, tools, removedTools };
}

/** Without a look into the schemas, which may be megabytes: the hash knows them. */
function isSame(before: CatalogTool, now: CatalogTool): boolean {
  if (before === now) return true;
  const summaryOf = ({ tool }: CatalogTool): string => {
    const { title, state, definitionHash, problem, repeatable, hints } = tool;
    return JSON.stringify([title, state, definitionHash, problem, repeatable, hints]);
  };
  return summaryOf(before) === summaryOf(now);
}

/** In responses that a client reads by default; the first one has the servers. */
function* split({ servers, tools, removedTools }: Difference): Generator<WatchToolsResponse> {
  let response = create(WatchToolsResponseSchema, { servers: [...servers] });
  let bytes = 0;
  for (const entry of [...tools, ...removedTools]) {
    const more = typeof entry === "string" ? Buffer.byteLength(entry) + entryOverhead : entry.bytes;
    if (bytes > 0 && bytes + more > maxPageBytes) {
      yield response;
      response = create(WatchToolsResponseSchema);
      bytes = 0;
    }
    bytes += more;
    if (typeof entry === "string") response.removedTools.push(entry);
    else response.tools.push(entry.tool);
  }
  yield response;
}
