/**
 * A call that this instance has dispatched. Whoever waits for it may go; the call stays (T2).
 *
 * Keeps L5: its outcome is told only once it is recorded. When the ledger can't take it, everybody who waits gets the
 * store's error, and the next one who asks tries again.
 */
import type { ToolResult } from "../../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import type { McpProgress } from "../mcp/mcp-connection.ts";

export interface RunningCallOptions {
  readonly callId: string;
  readonly tool: string;
  readonly server: string;
  /** Runs the call to its end. Must not reject. */
  readonly run: (signal: AbortSignal, onProgress: (progress: McpProgress) => void) => Promise<ToolResult>;
  /** Makes the outcome durable; returns the one that counts. Rejects with StoreUnavailable. */
  readonly record: (result: ToolResult) => Promise<ToolResult>;
}

export class RunningCall {
  readonly callId: string;
  readonly tool: string;
  readonly server: string;
  readonly #abort = new AbortController();
  readonly #listeners = new Set<(progress: McpProgress) => void>();
  readonly #ended: Promise<ToolResult>;
  readonly #record: (result: ToolResult) => Promise<ToolResult>;
  #recorded: Promise<ToolResult> | undefined;

  constructor({ callId, tool, server, run, record }: RunningCallOptions) {
    this.callId = callId;
    this.tool = tool;
    this.server = server;
    this.#record = record;
    this.#ended = run(this.#abort.signal, (progress) => {
      for (const listener of this.#listeners) listener(progress);
    });
  }

  /** The recorded outcome. Rejects with StoreUnavailable. */
  result(): Promise<ToolResult> {
    this.#recorded ??= this.#ended.then(async (result) => {
      try {
        return await this.#record(result);
      } catch (error) {
        this.#recorded = undefined;
        throw error;
      }
    });
    return this.#recorded;
  }

  /** Tells the server and ends the call as cancelled. Does nothing once it has ended. */
  cancel(): void {
    this.#abort.abort();
  }

  /** The listener must not throw. */
  onProgress(listener: (progress: McpProgress) => void): { stop(): void } {
    this.#listeners.add(listener);
    return { stop: () => void this.#listeners.delete(listener) };
  }
}
