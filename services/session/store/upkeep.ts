/** What the background jobs of a session store are asked to do, and what they did. */
import type { LogDamaged } from "../../kernel/store/store-errors.ts";
import type { TrimmedLog } from "./changes.ts";

/** What is kept of every log; 0 for no bound. */
export interface LogBounds {
  /** Events that were committed before this time may go. */
  readonly keepFromMs: number;
  /** The newest events that are kept at least; what is before them may go. */
  readonly maxEvents: number;
  /** The most bytes that are kept. */
  readonly maxBytes: number;
}

/** What one call of `trimLogs` did. */
export interface Trimming {
  /** The logs of which something was removed. */
  readonly trimmed: readonly TrimmedLog[];
  /** Events that are not what was written: their logs keep them and what is behind them. Every call that meets one names it. */
  readonly damaged: readonly LogDamaged[];
  /** Where the next call goes on; empty when all sessions were looked at. Opaque. */
  readonly cursor: string;
}

/** What one call of `indexMessages` did. */
export interface Indexing {
  /** Events that were read. */
  readonly events: number;
  /** Messages and answers that can be found from now on. */
  readonly documents: number;
  /** The bound was reached; there may be more to do. */
  readonly more: boolean;
  /** Events that were stepped over, each named once: they are not what was written, or can't be decoded. */
  readonly damaged: readonly LogDamaged[];
}

/** What one call of `compactLogs` did. */
export interface Compaction {
  /** Windows that were replaced; fewer than asked for when no log had another one. */
  readonly windows: number;
  readonly eventsBefore: number;
  readonly eventsAfter: number;
  /** Windows that were left as they are, because an event of theirs is not what was written. */
  readonly damaged: readonly LogDamaged[];
}
