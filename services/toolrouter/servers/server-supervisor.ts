/**
 * Keeps one MCP server running.
 *
 * Keeps T7: one process a server, however many sessions; one that crashes, hangs or floods costs only itself.
 * Keeps L7: it is started again after 0.5 s, doubling to 30 s, with jitter; a wait for it ends after its start timeout.
 * Starting never blocks the mesh: whoever needs the server waits for it.
 */
import type { Tool } from "../../../gen/atoll/tool/v1/tool_pb.ts";
import type { Clock } from "../../kernel/clock.ts";
import type { Log } from "../../kernel/log.ts";
import type { CatalogTool } from "../catalog/tool-catalog.ts";
import type { ToolListing } from "../listing/list-server-tools.ts";
import { ListingQueue } from "../listing/listing-queue.ts";
import type { McpConnection } from "../mcp/mcp-connection.ts";
import { visibleProblem } from "../problem-text.ts";
import type { McpServerSettings } from "./server-settings.ts";

const firstBackoffMs = 500;
const lastBackoffMs = 30_000;
/** A server that stayed ready this long starts its backoff anew. */
const stableAfterMs = 10_000;

export type ServerState =
  /** Switched off, or the router is closing. */
  | { readonly kind: "stopped"; readonly problem: string }
  /** Also one that is yet to be started: who needs it waits. */
  | { readonly kind: "starting"; readonly problem: string }
  | {
      readonly kind: "ready";
      readonly connection: McpConnection;
      /** By their names in the mesh; `unusable` are those that are only shown to people. */
      readonly tools: ReadonlyMap<string, CatalogTool>;
      readonly unusable: ReadonlyMap<string, Tool>;
      /** Wall clock. */
      readonly readySinceMs: number;
      readonly problem: string;
    }
  /** `problem` is never empty; `nextTryAtMs` is wall clock. */
  | { readonly kind: "backing-off"; readonly problem: string; readonly nextTryAtMs: number };

export type ReadyState = Extract<ServerState, { kind: "ready" }>;

export interface SupervisorOptions {
  readonly name: string;
  readonly settings: McpServerSettings;
  readonly log: Log;
  readonly clock: Clock;
  /** Called after every change of the state or of the tools. Must not throw. */
  readonly onChange: () => void;
}

export class ServerSupervisor {
  readonly name: string;
  readonly settings: McpServerSettings;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #state: ServerState;
  #restarts = 0;
  #failures = 0;
  /** Ends the present life: its start, its backoff, its connection. */
  #life = new AbortController();
  #changed = Promise.withResolvers<void>();
  #living: Promise<void> = Promise.resolve();
  /** The end of the last connection. Never rejects. */
  #ending: Promise<void> = Promise.resolve();

  constructor(options: SupervisorOptions) {
    this.name = options.name;
    this.settings = options.settings;
    const { disabled, problem } = options.settings;
    this.#state = { kind: disabled ? "stopped" : "starting", problem: visibleProblem(problem) };
    this.#log = options.log.child({ mcpServer: options.name });
    this.#clock = options.clock;
    this.#onChange = options.onChange;
  }

  get state(): ServerState {
    return this.#state;
  }

  /** How often it was started again. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Begins to connect and returns at once. Does nothing when the server is switched off. */
  start(): void {
    if (this.settings.disabled) return;
    this.#life = new AbortController();
    this.#failures = 0;
    this.#living = this.#live(this.#life.signal);
  }

  /** Ends it and starts it again; calls in flight end as lost. Resolves when it is being started. */
  async restart(): Promise<void> {
    await this.#endLife();
    if (this.settings.disabled) return;
    this.#restarts++;
    this.start();
  }

  /** Ends it for good. */
  async stop(): Promise<void> {
    await this.#endLife();
  }

  /**
   * Waits while it is starting, at most `waitMs`, and says how it is then. With `throughBackoff` it waits for the next
   * try too. Ends early when the signal aborts. Never rejects.
   */
  async settle(waitMs: number, signal?: AbortSignal, throughBackoff = false): Promise<ServerState> {
    const stop = new AbortController();
    const signals = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
    const over = this.#clock.sleep(waitMs, signals).then(
      () => "over",
      () => "over",
    );
    const waits = (): boolean =>
      this.#state.kind === "starting" || (throughBackoff && this.#state.kind === "backing-off");
    while (waits()) {
      if ((await Promise.race([over, this.#changed.promise])) === "over") break;
    }
    stop.abort();
    return this.#state;
  }

  async #endLife(): Promise<void> {
    this.#life.abort();
    const state = this.#state;
    this.#become({ kind: "stopped", problem: state.problem });
    if (state.kind === "ready") await state.connection.close();
    await this.#living;
    await this.#ending;
  }

  /** One life: start, serve, back off, again, until the signal aborts. */
  async #live(signal: AbortSignal): Promise<void> {
    let problem = "";
    for (;;) {
      this.#become({ kind: "starting", problem });
      problem = await this.#serve(signal, problem);
      if (signal.aborted) return;
      const waitMs = backoffMs(this.#failures++);
      this.#log.warn({ problem, retryInMs: waitMs }, "an MCP server is not running and will be started again");
      this.#become({ kind: "backing-off", problem, nextTryAtMs: this.#clock.nowMs() + waitMs });
      await this.#clock.sleep(waitMs, signal).catch(() => undefined);
      await this.#ending;
      if (signal.aborted) return;
      this.#restarts++;
    }
  }

  /** Connects and stays until the connection is over; returns the problem. Never rejects. */
  async #serve(signal: AbortSignal, lastProblem: string): Promise<string> {
    const lists = new ListingQueue();
    let connection: McpConnection | undefined;
    try {
      const { target, startTimeoutMs } = this.settings;
      const [log, clock] = [this.#log, this.#clock];
      const onToolsChanged = (): void => lists.request();
      // Only now, as all that judges its tools: the mesh is ready before it, and one without servers needs none of it.
      const { connectMcp } = await import("../mcp/connect-mcp.ts");
      connection = await connectMcp({ target, timeoutMs: startTimeoutMs, onToolsChanged, signal, log, clock });
      const listing = await this.#listTools(connection, signal);
      if (signal.aborted) throw new Error("it was stopped while it was starting");
      const { tools, unusable } = listing;
      const readySinceMs = this.#clock.nowMs();
      const problem = [lastProblem, listing.problem].filter((each) => each !== "").join("; ");
      this.#become({ kind: "ready", connection, tools, unusable, readySinceMs, problem });
      log.info({ tools: tools.size, version: connection.version }, "an MCP server is ready");
      if (listing.isIncomplete) lists.requestLater(clock);
      const ready = connection;
      const stable = clock.setTimer(stableAfterMs, () => {
        this.#failures = 0;
      });
      try {
        lists.run(clock, () => this.#relist(ready, readySinceMs, lists, signal));
        const closed = await connection.closed;
        return closed.kind === "ended" ? visibleProblem(closed.problem) : "it was closed";
      } finally {
        stable.cancel();
      }
    } catch (error) {
      return visibleProblem(error instanceof Error ? error.message : String(error));
    } finally {
      lists.stop();
      // Ending a process can take seconds; meanwhile nobody may take this server for one that answers.
      this.#ending = connection?.close() ?? Promise.resolve();
    }
  }

  /** Returns how many milliseconds the judging took. Never rejects. */
  async #relist(
    connection: McpConnection,
    readySinceMs: number,
    lists: ListingQueue,
    signal: AbortSignal,
  ): Promise<number> {
    try {
      const { tools, unusable, problem, isIncomplete, judgingMs } = await this.#listTools(connection, signal);
      const state = this.#state;
      if (state.kind !== "ready" || state.connection !== connection) return judgingMs;
      if (isIncomplete) lists.requestLater(this.#clock);
      if (isIncomplete && tools.size < state.tools.size) {
        // Half a list is no reason to take tools away.
        this.#become({ ...state, problem });
        return judgingMs;
      }
      this.#become({ kind: "ready", connection, tools, unusable, readySinceMs, problem });
      this.#log.info({ tools: tools.size }, "an MCP server changed its tools");
      return judgingMs;
    } catch (error) {
      if (signal.aborted) return 0;
      this.#log.warn({ error }, "an MCP server's changed tools can't be listed; the old list stays");
      const state = this.#state;
      if (state.kind !== "ready" || state.connection !== connection) return 0;
      this.#become({ ...state, problem: visibleProblem(`its changed tools can't be listed: ${String(error)}`) });
      return 0;
    }
  }

  async #listTools(connection: McpConnection, signal: AbortSignal): Promise<ToolListing> {
    const parts = { clock: this.#clock, log: this.#log };
    const { listServerTools } = await import("../listing/list-server-tools.ts");
    return await listServerTools(this.name, this.settings, connection, signal, parts);
  }

  #become(state: ServerState): void {
    this.#state = state;
    const changed = this.#changed;
    this.#changed = Promise.withResolvers<void>();
    changed.resolve();
    this.#onChange();
  }
}

/** Half of the exponential step is jitter, so that servers that fell together do not come back together. */
function backoffMs(failures: number): number {
  const stepMs = Math.min(lastBackoffMs, firstBackoffMs * 2 ** Math.min(failures, 10));
  return Math.round(stepMs / 2 + (Math.random() * stepMs) / 2);
}
