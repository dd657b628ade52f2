/**
 * The tool router's durable ledger: intent before effect, outcome after (L5, T1).
 *
 * Contract: a method is one atomic change, durable (fsync) when its promise resolves; refusals are values; what throws
 * is a `StoreUnavailable`.
 */
import type { Scope } from "./scope.ts";

export interface CallIntent {
  /** Unique in the tenant. */
  readonly callId: string;
  /** `server.tool`. */
  readonly tool: string;
  /** A digest of tool, arguments and context: another one under the same id is refused. */
  readonly digest: string;
  readonly sessionId: string;
  readonly runId: string;
  /** The run's epoch; 0 outside a run. */
  readonly epoch: number;
}

export type BeginOutcome =
  /** The intent is durable: dispatch it, once. */
  | { readonly kind: "dispatch" }
  /** It was dispatched and has its outcome: an encoded atoll.tool.v1.ToolResult. */
  | { readonly kind: "finished"; readonly result: Uint8Array }
  /** It was recorded before and has no outcome: it runs, or it is in doubt. `instanceId` recorded it. */
  | { readonly kind: "open"; readonly instanceId: string }
  /** The id was used for another call. */
  | { readonly kind: "other-call" }
  /** A newer epoch of the run has called a tool. */
  | { readonly kind: "stale-epoch"; readonly epoch: number }
  /** Somebody reattached to the id before it came (T2). */
  | { readonly kind: "tombstoned" };

export interface CallLedger {
  /** Records the intent if the id is new and the epoch is the newest of its run. */
  begin(scope: Scope, instanceId: string, call: CallIntent): Promise<BeginOutcome>;
  /** Records the outcome of a call, once: a second outcome is ignored and the first one returned. */
  finish(scope: Scope, callId: string, result: Uint8Array): Promise<Uint8Array>;
  /** Reads a call; an unknown id is tombstoned in the same change (T2). */
  reattach(
    scope: Scope,
    callId: string,
    epoch: { readonly runId: string; readonly epoch: number },
  ): Promise<Exclude<BeginOutcome, { kind: "dispatch" | "other-call" }>>;
  /** Removes finished calls and tombstones older than `beforeMs`; returns how many. */
  sweep(beforeMs: number): Promise<number>;
  close(): Promise<void>;
}
