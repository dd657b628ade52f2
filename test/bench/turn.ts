/**
 * What a mesh adds to a turn, and how many turns it carries:
 * `npm run bench:turn [-- --json] [--turns 300] [--seconds 10]`.
 *
 * Measures, each against the same fake model (a process of its own that answers at once, or a token every 5 ms)
 * - Latency: one client, answers of 20 tokens, from the SendMessage call to the RunFinished event on the client's open Chat
 *   stream (HTTP/2, loopback); directly: from the SDK's call to the end of its stream. Direct, embedded and split turns
 *   take turns, in rotating order, so that noise meets all three. "Added" is the difference of the same quantile.
 *   The first 300 turns of each way only warm it up; the first 50 of them are shown apart.
 * - Throughput: 32 clients, each with a connection, a session and a Chat stream of its own, answers of 200 tokens, turn
 *   after turn. Medians of three rounds in which the ways alternate. CPU is user and system time of the mesh's
 *   processes, from /proc; for the direct way, that of this process, so the loop that drives it is in it.
 * - All ways send the same instructions and tools, and conversations that begin anew every 10 turns.
 *
 * Does not measure
 * - The model: it thinks in no time. Tools: the answers are text. Networks: loopback has no delay and no loss.
 * - More than one gateway, TLS, or readers that do not read. Memory over time.
 * - Full speed on more than the cores that the mesh is pinned to: with two cores it has one, all four processes of the split
 *   mesh together, and the load generator has the other.
 *
 * Bounded: at most 5 000 turns a way, 60 s a throughput case, a turn at most 30 s, all of it 10 minutes.
 */
import { parseArgs } from "node:util";
import { topologies } from "../support/mesh-process.ts";
import { endAfter } from "./end-in-time.ts";
import { pinning, pinProcess } from "./pin-cores.ts";
import { printReport, type Table } from "./print-report.ts";
import { median, quantile } from "./quantiles.ts";
import { captureRequest, openDirectWay } from "./turn/direct-way.ts";
import { measureLatency, measureThroughput, type Throughput } from "./turn/measure-turns.ts";
import { openMeshWay } from "./turn/mesh-way.ts";
import { startModelProcess } from "./turn/model-process.ts";
import type { TurnTimes, Way } from "./turn/turn-times.ts";

const longestMs = 600_000;
/** After so many turns Node has compiled what it will compile; before, a turn takes about twice as long. */
const warmUpTurns = 300;
/** Of the turns that warm up: what a person meets right after a start. */
const firstTurns = 50;
const parallel = 32;
const rounds = 3;
const pacedDelayMs = 5;

const { values } = parseArgs({
  options: {
    json: { type: "boolean" },
    turns: { type: "string", default: "300" },
    seconds: { type: "string", default: "10" },
  },
});
const turns = wholeNumber("turns", values.turns, 5_000);
const seconds = wholeNumber("seconds", values.seconds, 60);
const callOffEnd = endAfter("bench:turn", longestMs);

pinProcess(process.pid, "load");
const template = await captureRequest();
const latency = await withWays({ tokens: 20, tokenDelayMs: 0 }, measureLatencies);
const atOnce = await withWays({ tokens: 200, tokenDelayMs: 0 }, measureThroughputs);
const paced = await withWays({ tokens: 200, tokenDelayMs: pacedDelayMs }, measureThroughputs);
report();
callOffEnd();

async function withWays<Result>(
  answer: Parameters<typeof startModelProcess>[0],
  measure: (ways: readonly Way[]) => Promise<Result>,
): Promise<Result> {
  const model = await startModelProcess(answer);
  const ways: Way[] = [openDirectWay(model.url, template)];
  try {
    for (const topology of topologies) ways.push(await openMeshWay(topology, model.url));
    return await measure(ways);
  } finally {
    for (const way of ways) await way.close();
    await model.stop();
  }
}

/** Of one way, once warm and in its first turns. */
interface Latency {
  readonly firstTurnsP50Ms: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly firstTextP50Ms: number;
  readonly firstTextP99Ms: number;
}

async function measureLatencies(ways: readonly Way[]): Promise<ReadonlyMap<string, Latency>> {
  const times = await measureLatency(ways, warmUpTurns + turns);
  return new Map(ways.map(({ name }, index) => [name, summarize(times[index] ?? [])]));
}

function summarize(times: readonly TurnTimes[]): Latency {
  const warm = times.slice(warmUpTurns);
  const total = warm.map((each) => each.totalMs);
  const first = warm.map((each) => each.firstTextMs);
  return {
    firstTurnsP50Ms: median(times.slice(0, firstTurns).map((each) => each.totalMs)),
    p50Ms: quantile(total, 0.5),
    p99Ms: quantile(total, 0.99),
    firstTextP50Ms: quantile(first, 0.5),
    firstTextP99Ms: quantile(first, 0.99),
  };
}

type Load = Omit<Throughput, "latenciesMs"> & { readonly p50Ms: number; readonly p99Ms: number };

async function measureThroughputs(ways: readonly Way[]): Promise<ReadonlyMap<string, Load>> {
  const options = { parallel, durationMs: (seconds * 1_000) / rounds };
  const all = new Map(ways.map(({ name }): [string, Throughput[]] => [name, []]));
  // The first round warms up and does not count.
  for (let round = 0; round <= rounds; round++) {
    for (const way of ways) {
      const measured = await measureThroughput(way, options);
      if (round > 0) all.get(way.name)?.push(measured);
    }
  }
  return new Map([...all].map(([name, measured]) => [name, middle(measured)]));
}

function middle(measured: readonly Throughput[]): Load {
  const of = (pick: (each: Throughput) => number) => median(measured.map(pick));
  const latenciesMs = measured.flatMap((each) => each.latenciesMs);
  return {
    turns: latenciesMs.length,
    turnsPerSecond: of((each) => each.turnsPerSecond),
    eventsPerSecond: of((each) => each.eventsPerSecond),
    cpuMsPerTurn: of((each) => each.cpuMsPerTurn),
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
  };
}

function report(): void {
  const direct = latency.get("direct");
  const embedded = latency.get("embedded");
  const addedMs = (embedded?.p50Ms ?? Number.NaN) - (direct?.p50Ms ?? Number.NaN);
  const load = atOnce.get("embedded");
  printReport(
    {
      bench: "turn",
      tables: [
        latencyTable(direct),
        loadTable(`Throughput: ${parallel} clients, 200 tokens at once, ${seconds} s`, atOnce),
        loadTable(`The same, a token every ${pacedDelayMs} ms`, paced),
      ],
      aims: [
        { name: "added to a turn, p50, embedded", value: addedMs, aim: { atMost: 5 }, unit: "ms" },
        {
          name: "turns a second, embedded",
          value: load?.turnsPerSecond ?? Number.NaN,
          aim: { atLeast: 100 },
          unit: "/s",
        },
        { name: "CPU a turn, embedded", value: load?.cpuMsPerTurn ?? Number.NaN, aim: { atMost: 10 }, unit: "ms" },
      ],
      notes: [`Node ${process.versions.node}, cores: ${pinning}.`],
      figures: {
        turns,
        seconds,
        parallel,
        pacedDelayMs,
        latency: Object.fromEntries(latency),
        throughput: Object.fromEntries(atOnce),
        pacedThroughput: Object.fromEntries(paced),
      },
    },
    values.json === true,
  );
}

function latencyTable(direct: Latency | undefined): Table {
  const row = (name: string, of: (key: keyof Latency) => number) =>
    [name, of("p50Ms"), of("p99Ms"), of("firstTextP50Ms"), of("firstTextP99Ms"), of("firstTurnsP50Ms")] as const;
  const rows = [...latency].map(([name, each]) => row(name, (key) => each[key]));
  const added = [...latency]
    .filter(([name]) => name !== "direct")
    .map(([name, each]) => row(`added by ${name}`, (key) => each[key] - (direct?.[key] ?? Number.NaN)));
  return {
    title: `Latency of a turn, ms: 20 tokens at once, ${turns} turns a way`,
    columns: ["", "p50", "p99", "first text p50", "first text p99", `first ${firstTurns} turns p50`],
    rows: [...rows, ...added],
  };
}

function loadTable(title: string, loads: ReadonlyMap<string, Load>): Table {
  const directCpuMs = loads.get("direct")?.cpuMsPerTurn ?? Number.NaN;
  return {
    title,
    columns: ["", "turns/s", "events/s", "CPU ms/turn", "× direct", "turn p50 ms", "turn p99 ms"],
    rows: [...loads].map(([name, each]) => [
      name,
      each.turnsPerSecond,
      each.eventsPerSecond,
      each.cpuMsPerTurn,
      each.cpuMsPerTurn / directCpuMs,
      each.p50Ms,
      each.p99Ms,
    ]),
  };
}

function wholeNumber(name: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new RangeError(`--${name} must be a whole number from 1 to ${most}, not ${text}`);
}
