/** The MCP servers of the mesh, one supervisor each, and their tools as one catalog. */
import type { Tool } from "../../../gen/atoll/tool/v1/tool_pb.ts";
import type { Clock } from "../../kernel/clock.ts";
import type { Log } from "../../kernel/log.ts";
import { type CatalogTool, compareNames } from "../catalog/tool-catalog.ts";
import type { McpServerSettings } from "./server-settings.ts";
import { ServerSupervisor } from "./server-supervisor.ts";

export interface ToolServersOptions {
  /** By name. Names have no dot. */
  readonly servers: ReadonlyMap<string, McpServerSettings>;
  readonly log: Log;
  readonly clock: Clock;
}

export class ToolServers {
  readonly #supervisors: readonly ServerSupervisor[];
  readonly #byName: ReadonlyMap<string, ServerSupervisor>;
  readonly #listeners = new Set<() => void>();

  constructor({ servers, log, clock }: ToolServersOptions) {
    const onChange = (): void => this.#listeners.forEach((listener) => void listener());
    this.#supervisors = [...servers]
      .sort(([a], [b]) => compareNames(a, b))
      .map(([name, settings]) => new ServerSupervisor({ name, settings, log, clock, onChange }));
    this.#byName = new Map(this.#supervisors.map((supervisor) => [supervisor.name, supervisor]));
  }

  /** In order of name. */
  get all(): readonly ServerSupervisor[] {
    return this.#supervisors;
  }

  find(name: string): ServerSupervisor | undefined {
    return this.#byName.get(name);
  }

  /** The usable tools of the servers that are ready, in order of name. */
  tools(): readonly CatalogTool[] {
    return this.#supervisors
      .flatMap(({ state }) => (state.kind === "ready" ? [...state.tools.values()] : []))
      .sort((a, b) => compareNames(a.tool.name, b.tool.name));
  }

  /** The tools that can't be used, of the servers that are ready. In no order. */
  unusable(): readonly Tool[] {
    return this.#supervisors.flatMap(({ state }) => (state.kind === "ready" ? [...state.unusable.values()] : []));
  }

  /** Begins to connect to all of them and returns at once. */
  start(): void {
    for (const supervisor of this.#supervisors) supervisor.start();
  }

  /** Calls the listener after every change of a server or its tools; the listener must not throw. */
  onChange(listener: () => void): { stop(): void } {
    this.#listeners.add(listener);
    return { stop: () => void this.#listeners.delete(listener) };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#supervisors.map((supervisor) => supervisor.stop()));
  }
}
