/**
 * Wakes readers of a session's log and of a tenant's index, and may carry what was committed as a hint (L3).
 *
 * Contract: delivery is at most once and may be late, early or missing; a reader uses a hint only when it is contiguous
 * with what it has, else it reads the log. `publish` never throws and never waits for a listener; a listener must not
 * throw and must not block. What is published without events
 * says that the session was made, or its log replaced or removed: its readers read it. The topic is the tenant and the
 * session; whoever changes a session publishes it, so that readers of the tenant's index are woken as well.
 */
import type { Appended } from "../event/appended.ts";

export interface Bus {
  publish(appended: Appended): void;
  /** Returns the function that ends the subscription. */
  subscribe(tenant: string, sessionId: string, listener: (appended: Appended) => void): () => void;
  /** Calls `listener` after each publish of the tenant, whatever the session. Returns the function that ends it. */
  subscribeIndex(tenant: string, listener: () => void): () => void;
  close(): Promise<void>;
}
