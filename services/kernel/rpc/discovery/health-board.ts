// What this process says about its services' health.
// Keeps L7: a watcher holds no queue. It keeps the last status that it saw and reads the current one when it is woken,
// so a status that came and went between two reads is not shown; the number of watchers is bounded.

export type ServingStatus = "serving" | "not_serving";
export type WatchedStatus = ServingStatus | "service_unknown";

/** The name under which the health of the whole process stands. */
export const wholeProcess = "";

export interface HealthBoard {
  /** `service` is a full name ("atoll.gateway.v1.GatewayService") or `wholeProcess`. */
  set(service: string, status: ServingStatus): void;
  /** Sets every service on the board, the whole process included: what a drain begins with. */
  setAll(status: ServingStatus): void;
  /** Undefined for a service that was never set. */
  get(service: string): ServingStatus | undefined;
  entries(): ReadonlyMap<string, ServingStatus>;
  /**
   * The current status at once, then each change. Ends when `signal` aborts or the board closes. Throws
   * TooManyWatchersError.
   */
  watch(service: string, signal: AbortSignal): AsyncIterable<WatchedStatus>;
  /** Ends all watches after they have shown the last status, so that they do not hold up a shutdown. */
  close(): void;
}

export class TooManyWatchersError extends Error {
  constructor(maxWatchers: number) {
    super(`This process already serves its maximum of ${maxWatchers} health watches.`);
    this.name = "TooManyWatchersError";
  }
}

export interface HealthBoardOptions {
  /** Open watches. Default 1 000. */
  readonly maxWatchers?: number;
}

export function createHealthBoard({ maxWatchers = 1_000 }: HealthBoardOptions = {}): HealthBoard {
  const statuses = new Map<string, ServingStatus>();
  const watchers = new Set<{ wake: () => void }>();
  let closed = false;

  const wakeAll = (): void => {
    for (const watcher of watchers) watcher.wake();
  };

  async function* watch(service: string, signal: AbortSignal): AsyncGenerator<WatchedStatus> {
    if (watchers.size >= maxWatchers) throw new TooManyWatchersError(maxWatchers);
    const watcher = { wake: (): void => undefined };
    // A reader that is gone may never pull again, so its place is freed here and not only in the finally below.
    const onAbort = (): void => {
      watchers.delete(watcher);
      watcher.wake();
    };
    watchers.add(watcher);
    signal.addEventListener("abort", onAbort);
    try {
      let shown: WatchedStatus | undefined;
      while (!signal.aborted) {
        const current = statuses.get(service) ?? "service_unknown";
        if (current !== shown) {
          shown = current;
          yield current;
          continue;
        }
        if (closed) return;
        // Nothing can change between the look above and this wait: both happen in one turn of the event loop.
        await new Promise<void>((resolve) => {
          watcher.wake = resolve;
        });
      }
    } finally {
      watchers.delete(watcher);
      signal.removeEventListener("abort", onAbort);
    }
  }

  return {
    set(service, status) {
      statuses.set(service, status);
      wakeAll();
    },
    setAll(status) {
      for (const service of statuses.keys()) statuses.set(service, status);
      statuses.set(wholeProcess, status);
      wakeAll();
    },
    get: (service) => statuses.get(service),
    entries: () => statuses,
    watch,
    close() {
      closed = true;
      wakeAll();
    },
  };
}
