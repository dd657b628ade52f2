/**
 * The Bus of one process: a listener is called in the tick of the publish.
 *
 * Keeps L3: this carries hints only; nothing is kept for a listener that comes later. Keeps L9: a listener that throws
 * against its contract is reported and costs the others nothing.
 */
import type { Appended } from "../../event/appended.ts";
import type { Bus } from "../bus.ts";

type Listener = (appended: Appended) => void;

export class MemoryBus implements Bus {
  private readonly ofSession = new Map<string, Set<Listener>>();
  private readonly ofTenant = new Map<string, Set<Listener>>();
  private readonly reportFault: (error: unknown) => void;

  /** `reportFault` is told what a listener threw. */
  constructor(reportFault: (error: unknown) => void) {
    this.reportFault = reportFault;
  }

  publish(appended: Appended): void {
    this.tell(this.ofSession.get(topicOf(appended.tenant, appended.sessionId)), appended);
    this.tell(this.ofTenant.get(appended.tenant), appended);
  }

  subscribe(tenant: string, sessionId: string, listener: Listener): () => void {
    return subscribe(this.ofSession, topicOf(tenant, sessionId), listener);
  }

  subscribeIndex(tenant: string, listener: () => void): () => void {
    return subscribe(this.ofTenant, tenant, listener);
  }

  async close(): Promise<void> {
    this.ofSession.clear();
    this.ofTenant.clear();
  }

  private tell(listeners: ReadonlySet<Listener> | undefined, appended: Appended): void {
    if (listeners === undefined) return;
    // A copy: a listener may end its own subscription or begin another while it is called.
    for (const listener of [...listeners]) {
      try {
        listener(appended);
      } catch (error) {
        this.reportFault(error);
      }
    }
  }
}

function subscribe(topics: Map<string, Set<Listener>>, topic: string, listener: Listener): () => void {
  // Wrapped, so that one function may be subscribed twice and each subscription ends by itself.
  const own: Listener = (appended) => listener(appended);
  const others = topics.get(topic);
  if (others === undefined) topics.set(topic, new Set([own]));
  else others.add(own);
  return () => {
    const listeners = topics.get(topic);
    if (listeners?.delete(own) && listeners.size === 0) topics.delete(topic);
  };
}

/** The length makes the pair unambiguous whatever characters the two have. */
function topicOf(tenant: string, sessionId: string): string {
  return `${tenant.length}:${tenant}${sessionId}`;
}
