/**
 * The Bus of one process: a listener is called in the tick of the publish.
 *
 * Keeps L3: this carries hints only; nothing is kept for a listener that comes later. Keeps L9: a listener that throws
 * against its contract is reported and costs the others nothing.
 */
import type { Appended } from "../../store/changes.ts";
import type { Bus } from "../bus.ts";

type Listener = (appended: Appended) => void;

export class MemoryBus implements Bus {
  private readonly listeners = new Map<string, Set<Listener>>();
  private readonly reportFault: (error: unknown) => void;

  /** `reportFault` is told what a listener threw. */
  constructor(reportFault: (error: unknown) => void) {
    this.reportFault = reportFault;
  }

  publish(appended: Appended): void {
    // A copy: a listener may end its own subscription or begin another while it is called.
    for (const listener of [...(this.listeners.get(topicOf(appended.tenant, appended.sessionId)) ?? [])]) {
      try {
        listener(appended);
      } catch (error) {
        this.reportFault(error);
      }
    }
  }

  subscribe(tenant: string, sessionId: string, listener: Listener): () => void {
    const topic = topicOf(tenant, sessionId);
    // Wrapped, so that one function may be subscribed twice and each subscription ends by itself.
    const own: Listener = (appended) => listener(appended);
    const others = this.listeners.get(topic);
    if (others === undefined) {
      this.listeners.set(topic, new Set([own]));
    } else {
      others.add(own);
    }
    return () => this.unsubscribe(topic, own);
  }

  async close(): Promise<void> {
    this.listeners.clear();
  }

  private unsubscribe(topic: string, own: Listener): void {
    const listeners = this.listeners.get(topic);
    if (listeners?.delete(own) && listeners.size === 0) {
      this.listeners.delete(topic);
    }
  }
}

/** The length makes the pair unambiguous whatever characters the two have. */
function topicOf(tenant: string, sessionId: string): string {
  return `${tenant.length}:${tenant}${sessionId}`;
}
