/** What an append committed: the store answers it, and the bus carries it as a hint (L3). */
import type { StoredEvent } from "./stored-event.ts";

/** Events that were committed, as the log has them. */
export interface Appended {
  readonly tenant: string;
  readonly sessionId: string;
  readonly logId: string;
  /** In order, dense; empty when the change had no events. */
  readonly events: readonly StoredEvent[];
  /** The head after them. */
  readonly headSeq: number;
}
