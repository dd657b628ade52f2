/**
 * Lets calls that came in one burst be handled in turns: whoever sends a thousand costs the others one turn, not a thousand.
 *
 * Keeps F4: one read of a socket can bring hundreds of calls, and what each does runs to its end before anything else of the
 * process is heard. After `turnMs` of that the next calls wait for the next round of the event loop. Of all who wait, the one
 * that took the least time of the process lately is next, and of its connections as well; meanwhile the answers that were
 * written are counted, given up or taken.
 */
export interface FairTurns {
  /**
   * Undefined when the call begins at once, as on a process that is not busy.
   * @param who Who pays with its time: a principal, an address.
   * @param connection What came together; each is a payer of its own among those of `who`.
   */
  enter(who: string, connection: object): Promise<void> | undefined;
}

/** Milliseconds of a round of the event loop in which calls begin at once. */
const turnMs = 8;
/** After so long half of the time that somebody took is forgotten. */
const halfLifeMs = 1_000;
const nothing = Number.NEGATIVE_INFINITY;
/** Names that took time and wait for nothing; more are looked through for those that took nothing lately. */
const rememberedNames = 4_096;

/** Time of the process that somebody took while others waited. */
interface Used {
  /**
   * The logarithm of the milliseconds, as if all of them had been taken at time 0 of the clock: what is forgotten since
   * changes no order, so that those who wait are compared without looking at the time.
   */
  rank: number;
}

interface Waiting {
  readonly used: Used;
  readonly connections: Map<object, { readonly used: Used; readonly calls: (() => void)[] }>;
}

export function createFairTurns(now: () => number = () => performance.now()): FairTurns {
  const waiting = new Map<string, Waiting>();
  const ofNames = new Map<string, Used>();
  const ofConnections = new WeakMap<object, Used>();
  /** Undefined until a call begins in this round. */
  let roundStartMs: number | undefined;
  /** Who has its turn now. */
  let running: { readonly sinceMs: number; readonly payers: readonly Used[] } | undefined;

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
    payForTurn();
    if (waiting.size === 0) return;
    begin();
    if (isSpent()) return;
    const [name, whole] = leastOf(waiting);
    const { used, connections } = whole;
    const [connection, of] = leastOf(connections);
    const call = of.calls.shift();
    // Behind those that took as little.
    connections.delete(connection);
    if (of.calls.length > 0) connections.set(connection, of);
    waiting.delete(name);
    if (connections.size > 0) waiting.set(name, whole);
    running = { sinceMs: now(), payers: [used, of.used] };
    call?.();
    // When all that the call did at once is done: promises first, then ticks.
    queueMicrotask(() => process.nextTick(giveTurns));
  };

  const payForTurn = (): void => {
    if (running === undefined) return;
    const nowMs = now();
    for (const used of running.payers) {
      const ms = lately(used, nowMs) + nowMs - running.sinceMs;
      used.rank = Math.log2(ms) + nowMs / halfLifeMs;
    }
    running = undefined;
  };

  const usedOf = (who: string): Used => {
    const known = ofNames.get(who);
    if (known !== undefined) return known;
    const nowMs = now();
    if (ofNames.size >= rememberedNames) {
      for (const [name, used] of ofNames) if (!waiting.has(name) && lately(used, nowMs) < 1) ofNames.delete(name);
    }
    const used = { rank: nothing };
    ofNames.set(who, used);
    return used;
  };

  return {
    enter(who, connection) {
      if (waiting.size === 0 && !isSpent()) {
        begin();
        return undefined;
      }
      // A round that is spent ends with one that gives turns.
      const whole = waiting.get(who) ?? { used: usedOf(who), connections: new Map() };
      waiting.set(who, whole);
      const used = ofConnections.get(connection) ?? { rank: nothing };
      ofConnections.set(connection, used);
      const of = whole.connections.get(connection) ?? { used, calls: [] };
      whole.connections.set(connection, of);
      return new Promise<void>((resolve) => {
        of.calls.push(resolve);
      });
    },
  };
}

/** Milliseconds that are not forgotten. */
function lately({ rank }: Used, nowMs: number): number {
  return 2 ** (rank - nowMs / halfLifeMs);
}

/** Of those that took as little, the first. `among` is not empty. */
function leastOf<Key, Entry extends { readonly used: Used }>(among: ReadonlyMap<Key, Entry>): readonly [Key, Entry] {
  let least: readonly [Key, Entry] | undefined;
  for (const each of among) {
    if (least === undefined || each[1].used.rank < least[1].used.rank) least = each;
  }
  if (least === undefined) throw new Error("nobody waits");
  return least;
}
