/**
 * Lets calls that came in one burst be handled in turns: whoever sends a thousand costs the others one turn, not a thousand.
 *
 * Keeps F4: one read of a socket can bring hundreds of calls, and what each does runs to its end before anything else of the
 * process is heard. After `turnMs` of that the next calls wait for the next round of the event loop, where all who wait have
 * their turns one after the other, by name; meanwhile the answers that were written are counted, given up or taken.
 */
export interface FairTurns {
  /** Undefined when `name`, a text or an object, has its turn at once, as on a process that is not busy. */
  enter(name: unknown): Promise<void> | undefined;
}

/** Milliseconds of a round of the event loop in which calls begin at once. */
const turnMs = 20;

export function createFairTurns(now: () => number = () => performance.now()): FairTurns {
  /** By name, in the order of their turns. */
  const waiting = new Map<unknown, (() => void)[]>();
  /** Undefined until a call begins in this round. */
  let roundStartMs: number | undefined;

  const isSpent = (): boolean => roundStartMs !== undefined && now() - roundStartMs >= turnMs;

  const begin = (): void => {
    if (roundStartMs !== undefined) return;
    roundStartMs = now();
    setImmediate(nextRound);
  };

  const nextRound = (): void => {
    roundStartMs = undefined;
    giveTurns();
  };

  const giveTurns = (): void => {
    const [first] = waiting;
    if (first === undefined) return;
    begin();
    if (isSpent()) return;
    const [name, calls] = first;
    const call = calls.shift();
    // Behind the other names, until its next turn.
    waiting.delete(name);
    if (calls.length > 0) waiting.set(name, calls);
    call?.();
    // When all that the call did at once is done: promises first, then ticks.
    queueMicrotask(() => process.nextTick(giveTurns));
  };

  return {
    enter(name) {
      if (waiting.size === 0 && !isSpent()) {
        begin();
        return undefined;
      }
      // A round that is spent ends with one that gives turns.
      const calls = waiting.get(name);
      return new Promise<void>((resolve) => {
        if (calls === undefined) waiting.set(name, [resolve]);
        else calls.push(resolve);
      });
    },
  };
}
