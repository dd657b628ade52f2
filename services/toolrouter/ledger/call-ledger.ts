/**
 * The tool router's durable ledger: intent before effect, outcome after (L5, T1).
 *
 * Contract: a method is one atomic change, durable (fsync) when its promise resolves; refusals are values; what throws
 * is a `StoreUnavailable`.
 */
import type { Scope } from "../../kernel/store/scope.ts";

/** Whose call an id names: ids are the own of a run, and outside of runs of a caller. */
export interface CallOwner extends Scope {
  /** Empty outside of runs. */
  readonly runId: string;
}

export interface CallIntent {
  /** Unique among its owner's. */
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
  /** Records the intent if the id is new among its owner's and the epoch is the newest of its run; epoch 0 is of no lease. */
  begin(scope: Scope, instanceId: string, call: CallIntent): Promise<BeginOutcome>;
  /** Records the outcome of a call, once: a second outcome is ignored and the first one returned. */
  finish(owner: CallOwner, callId: string, result: Uint8Array): Promise<Uint8Array>;
  /** Reads a call of the caller's run; an unknown id, as one of another run is, is tombstoned for it in the same change (T2). */
  reattach(
    scope: Scope,
    callId: string,
    epoch: { readonly runId: string; readonly epoch: number },
  ): Promise<Exclude<BeginOutcome, { kind: "dispatch" | "other-call" }>>;
  /** Removes finished calls and tombstones older than `beforeMs`; returns how many. */
  sweep(beforeMs: number): Promise<number>;
  close(): Promise<void>;
}
