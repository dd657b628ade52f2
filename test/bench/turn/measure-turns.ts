/** Turns by several ways: one at a time and interleaved for their latency, many at once for what a machine can carry. */
import type { Talk, TurnTimes, Way } from "./turn-times.ts";

/** A conversation ends after so many turns and a new one begins, so that no history grows without end. */
const turnsOfTalk = 10;

/** A client who begins a new conversation now and then. */
class Talker {
  readonly #way: Way;
  #talk: Talk | undefined;
  #turns = 0;

  constructor(way: Way) {
    this.#way = way;
  }

  /** Makes ready what the next turn needs, so that it is not counted. */
  async prepare(): Promise<Talk> {
    if (this.#turns >= turnsOfTalk) await this.close();
    this.#talk ??= await this.#way.openTalk();
    this.#turns += 1;
    return this.#talk;
  }

  async turn(): Promise<TurnTimes> {
    return (await this.prepare()).turn();
  }

  async close(): Promise<void> {
    await this.#talk?.close();
    this.#talk = undefined;
    this.#turns = 0;
  }
}

/** Each round has one turn by each way, in an order that rotates. Returns the times by way, round by round. */
export async function measureLatency(ways: readonly Way[], rounds: number): Promise<readonly (readonly TurnTimes[])[]> {
  const talkers = ways.map((way) => new Talker(way));
  const times = ways.map((): TurnTimes[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const position of ways.keys()) {
      const index = (position + round) % ways.length;
      const talk = await talkers[index]?.prepare();
      const taken = await talk?.turn();
      if (taken !== undefined) times[index]?.push(taken);
    }
  }
  for (const talker of talkers) await talker.close();
  requireSameWork(times.map((each) => each[0]?.textBytes));
  return times;
}

export interface Throughput {
  readonly turns: number;
  readonly turnsPerSecond: number;
  readonly eventsPerSecond: number;
  /** Processor milliseconds of the way a turn. */
  readonly cpuMsPerTurn: number;
  readonly latenciesMs: readonly number[];
}

/** `parallel` clients that take one turn after the other for `durationMs`. */
export async function measureThroughput(
  way: Way,
  { parallel, durationMs }: { readonly parallel: number; readonly durationMs: number },
): Promise<Throughput> {
  const talkers = Array.from({ length: parallel }, () => new Talker(way));
  await Promise.all(talkers.map((talker) => talker.turn()));
  const startedMs = performance.now();
  const startedCpuMs = way.cpuMs();
  const latenciesMs: number[] = [];
  let events = 0;
  await Promise.all(
    talkers.map(async (talker) => {
      while (performance.now() - startedMs < durationMs) {
        const taken = await talker.turn();
        latenciesMs.push(taken.totalMs);
        events += taken.events;
      }
    }),
  );
  const seconds = (performance.now() - startedMs) / 1_000;
  const cpuMs = way.cpuMs() - startedCpuMs;
  for (const talker of talkers) await talker.close();
  const turns = latenciesMs.length;
  return {
    turns,
    turnsPerSecond: turns / seconds,
    eventsPerSecond: events / seconds,
    cpuMsPerTurn: cpuMs / turns,
    latenciesMs,
  };
}

function requireSameWork(bytes: readonly (number | undefined)[]): void {
  if (new Set(bytes).size > 1) throw new Error(`the ways gave answers of different lengths: ${bytes.join(", ")} bytes`);
}
