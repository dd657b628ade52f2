/**
 * Stopping, in order and in bounded time.
 *
 * Keeps L7: a drain and every close are bounded. Keeps L9: a part that fails or does not finish is logged and named in the
 * report, and never holds up the others. Parts are closed in reverse order of registration, so that each closes while
 * what it was built on still works.
 */
import { type Clock, systemClock } from "./clock.ts";
import type { Log } from "./log.ts";

/** Something that must be stopped: a listener, a service, a store. */
export interface LifecyclePart {
  readonly name: string;
  /**
   * Refuses new work and resolves when the work at hand is done. `deadlineMs` is how many milliseconds there are; after
   * that the part is closed whether or not this resolved. All parts drain at the same time.
   */
  drain?(deadlineMs: number): Promise<void> | void;
  /** Gives everything up. Called once, also when a drain failed or did not finish. */
  close(): Promise<void> | void;
  /** Milliseconds that it may take to close, longer than what it itself waits for. Default: that of the lifecycle. */
  readonly closeTimeoutMs?: number;
}

/** A part that did not stop as it should. */
export interface UnfinishedPart {
  readonly name: string;
  readonly step: "drain" | "close";
  readonly problem: "failed" | "timed out" | "cut short";
}

export interface StopReport {
  /** Empty when everything stopped cleanly. */
  readonly unfinished: readonly UnfinishedPart[];
}

export interface Lifecycle {
  /**
   * Adds a part that has started. While the mesh is stopping, the part is closed at once and LifecycleStopped is thrown,
   * which ends a start that was overtaken by a signal.
   */
  register(part: LifecyclePart): Promise<void>;
  /** Drains all parts for at most `drainTimeoutMs`, then closes them. Called again, it gives the same report. */
  drainAndClose(options: { readonly drainTimeoutMs: number }): Promise<StopReport>;
  /** Closes all parts without draining, or ends a drain that is going on. Gives the same report. */
  closeNow(): Promise<StopReport>;
  /** Whether it is stopping. */
  isDraining(): boolean;
}

/** The mesh is stopping, so nothing can be added to it. */
export class LifecycleStopped extends Error {
  override readonly name = "LifecycleStopped";
}

export interface LifecycleOptions {
  readonly log: Log;
  /** Milliseconds that one part may take to close. Default 2000. */
  readonly closeTimeoutMs?: number;
  readonly clock?: Clock;
}

/** Makes a lifecycle without parts. */
export function createLifecycle({ log, closeTimeoutMs = 2000, clock = systemClock }: LifecycleOptions): Lifecycle {
  const parts: LifecyclePart[] = [];
  const unfinished: UnfinishedPart[] = [];
  const hurry = new AbortController();
  let stopped: Promise<StopReport> | undefined;

  /** Runs one step of a part; whatever happens is at most written down. */
  const runStep = async (
    part: LifecyclePart,
    step: "drain" | "close",
    run: () => Promise<void> | void,
    timeoutMs: number,
    cut?: AbortSignal,
  ): Promise<void> => {
    const giveUp = new AbortController();
    const signal = cut === undefined ? giveUp.signal : AbortSignal.any([giveUp.signal, cut]);
    let problem: UnfinishedPart["problem"] | undefined;
    const finish = async (): Promise<void> => {
      try {
        await run();
      } catch (error) {
        log.warn({ part: part.name, step, error }, `${part.name} failed to ${step}`);
        problem ??= "failed";
      }
    };
    const waitOut = clock.sleep(timeoutMs, signal).then(
      () => "timed out" as const,
      () => "cut short" as const,
    );
    problem = await Promise.race([finish().then(() => problem), waitOut]);
    giveUp.abort();
    if (problem === undefined) return;
    unfinished.push({ name: part.name, step, problem });
    if (problem !== "failed")
      log.warn({ part: part.name, step, timeoutMs }, `${part.name} did not ${step}: ${problem}`);
  };

  const closePart = (part: LifecyclePart): Promise<void> =>
    runStep(part, "close", () => part.close(), part.closeTimeoutMs ?? closeTimeoutMs);

  const closeAll = async (): Promise<StopReport> => {
    // A part can still be taken off while another closes; popping closes each exactly once.
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) await closePart(part);
    return { unfinished };
  };

  const drainAll = async (drainTimeoutMs: number): Promise<void> => {
    const drains = parts.map(async (part) => {
      const drain = part.drain?.bind(part);
      if (drain === undefined) return;
      await runStep(part, "drain", () => drain(drainTimeoutMs), drainTimeoutMs, hurry.signal);
    });
    await Promise.all(drains);
  };

  return {
    async register(part) {
      if (stopped === undefined) {
        parts.push(part);
        return;
      }
      await closePart(part);
      throw new LifecycleStopped(`${part.name} was closed at once: the mesh is stopping`);
    },
    drainAndClose({ drainTimeoutMs }) {
      stopped ??= drainAll(drainTimeoutMs).then(closeAll);
      return stopped;
    },
    isDraining: () => stopped !== undefined,
    closeNow() {
      hurry.abort();
      stopped ??= closeAll();
      return stopped;
    },
  };
}
