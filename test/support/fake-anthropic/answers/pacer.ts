/** One timer for all paced streams of a delay: each tick gives every stream its next piece. */
export interface Pacer {
  /** Calls `next` every `delayMs` until it returns false. */
  pace(delayMs: number, next: () => boolean): void;
  close(): void;
}

export function createPacer(): Pacer {
  const lanes = new Map<number, { readonly streams: Set<() => boolean>; readonly timer: NodeJS.Timeout }>();
  const openLane = (delayMs: number) => {
    const streams = new Set<() => boolean>();
    const timer = setInterval(() => {
      for (const next of streams) if (!next()) streams.delete(next);
      if (streams.size === 0) {
        clearInterval(timer);
        lanes.delete(delayMs);
      }
    }, delayMs);
    const lane = { streams, timer };
    lanes.set(delayMs, lane);
    return lane;
  };
  return {
    pace(delayMs, next) {
      (lanes.get(delayMs) ?? openLane(delayMs)).streams.add(next);
    },
    close() {
      for (const lane of lanes.values()) clearInterval(lane.timer);
      lanes.clear();
    },
  };
}
