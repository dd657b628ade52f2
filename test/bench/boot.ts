/**
 * How fast a mesh starts, how much memory it takes, and how large its dependencies are:
 * `npm run bench:boot [-- --json] [--starts 9] [--here]`.
 *
 * Measures, in this checkout and in the package that `npm pack` makes of it, installed into an empty folder (`--here`: not there)
 * - Ready: from before the process is spawned to its "ready at" line, and to the answer of the first authenticated call,
 *   from this process over HTTP/2. Embedded, offline model, default configuration with its MCP server, a new data folder
 *   each time. "Cold" starts have an empty compile cache each, "warm" ones share one that earlier starts filled.
 *   Both kinds alternate with `node -e 0`, from its spawn to its end, which they are counted in; medians are reported. Nothing is
 *   pinned: this process only waits, and a start that may use one core alone is no start that a person sees.
 * - Memory: VmRSS of the mesh process alone, three times each: 3 s after ready with nobody connected,
 *   after a turn with a tool call, and 5 s later with its client still connected.
 * - Size: files of the installed packages that the lock file does not mark as development-only, without Node itself and Atoll.
 *
 * Does not measure
 * - The first build of the web page and of the program (they are built before), npm's own start (`npm start` adds it), or cold disk
 *   caches: earlier starts have read the files already.
 * - When the MCP server is up: the mesh is ready before it, and a turn that needs it waits.
 * - The MCP server's memory. VmRSS counts pages of the Node binary that other Node processes share.
 *
 * Bounded: at most 25 starts of each kind, and 10 minutes.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { atollProgram } from "../support/mesh-process.ts";
import { installPackage } from "./boot/install-package.ts";
import {
  afterTurnMs,
  idleMs,
  type MemoryRun,
  measureMemory,
  measureStarts,
  type Place,
  type PlaceTimes,
} from "./boot/measure-place.ts";
import type { StartTimes } from "./boot/mesh-start.ts";
import { measureProductionPackages } from "./boot/production-size.ts";
import { endAfter } from "./end-in-time.ts";
import { printReport } from "./print-report.ts";
import { median, quantile } from "./quantiles.ts";

const root = resolve(import.meta.dirname, "../..");
const longestMs = 600_000;
const memoryRepeats = 3;
const bytesPerMb = 1_000_000;
const shownPackages = 8;
const ownName = "atoll-mesh";

const { values } = parseArgs({
  options: { json: { type: "boolean" }, starts: { type: "string", default: "9" }, here: { type: "boolean" } },
});
const starts = Number(values.starts);
if (!Number.isInteger(starts) || starts < 1 || starts > 25) throw new RangeError("--starts must be from 1 to 25");
const callOffEnd = endAfter("bench:boot", longestMs);

buildWebPage();
const folder = mkdtempSync(join(tmpdir(), "atoll-bench-"));
try {
  const places: Place[] = [{ name: "checkout", program: atollProgram, packages: measureProductionPackages(root) }];
  if (values.here !== true) places.push(installed());
  const figures = [];
  for (const place of places) {
    const home = join(folder, place.name);
    mkdirSync(home);
    const times = await measureStarts(place, home, starts);
    figures.push(summarize(place, times, await measureMemory(place, home, memoryRepeats)));
  }
  report(figures);
} finally {
  rmSync(folder, { recursive: true, force: true });
  callOffEnd();
}

function buildWebPage(): void {
  if (existsSync(join(root, "web/dist/index.html"))) return;
  const { status, stderr } = spawnSync("npm", ["run", "build:web"], { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error(`the web page could not be built\n${stderr}`);
}

function installed(): Place {
  const home = installPackage(root, folder);
  const packages = measureProductionPackages(home, "node_modules/.package-lock.json");
  return { name: "package", program: join(home, "node_modules", ownName, "bin/atoll.js"), packages };
}

interface Figures {
  readonly place: string;
  readonly nodeMs: number;
  readonly ready: Readonly<Record<"cold" | "warm", ReturnType<typeof summarizeStarts>>>;
  readonly rssMb: Readonly<Record<"idle" | "idleAnonymous" | "afterTurn" | "later", number>>;
  readonly dependencies: Readonly<Record<"packages" | "totalMb" | "diskMb" | "ownMb", number>>;
  readonly largest: readonly (readonly [name: string, mb: number, diskMb: number])[];
}

function summarize({ name, packages }: Place, times: PlaceTimes, memory: readonly MemoryRun[]): Figures {
  const memoryOf = (pick: (run: MemoryRun) => number) => median(memory.map(pick));
  const others = packages.filter((each) => each.name !== ownName);
  const sum = (pick: (each: (typeof packages)[number]) => number, of = others) =>
    of.reduce((total, each) => total + pick(each), 0) / bytesPerMb;
  return {
    place: name,
    nodeMs: median([...times.nodeMs]),
    ready: { cold: summarizeStarts(times.cold), warm: summarizeStarts(times.warm) },
    rssMb: {
      idle: memoryOf((run) => run.idleMb),
      idleAnonymous: memoryOf((run) => run.idleAnonymousMb),
      afterTurn: memoryOf((run) => run.afterTurnMb),
      later: memoryOf((run) => run.laterMb),
    },
    dependencies: {
      packages: others.length,
      totalMb: sum((each) => each.bytes),
      diskMb: sum((each) => each.diskBytes),
      ownMb: sum(
        (each) => each.diskBytes,
        packages.filter((each) => each.name === ownName),
      ),
    },
    largest: others
      .slice(0, shownPackages)
      .map((each) => [each.name, each.bytes / bytesPerMb, each.diskBytes / bytesPerMb] as const),
  };
}

function report(figures: readonly Figures[]): void {
  printReport(
    {
      bench: "boot",
      tables: figures.flatMap(({ place, nodeMs, ready, rssMb, dependencies, largest }) => [
        {
          title: `${place}: start, ms (median of ${starts}; slowest in brackets); node -e 0 takes ${nodeMs.toFixed(0)}`,
          columns: ["compile cache", "ready line", "× node", "first call", "inside the mesh"],
          rows: Object.entries(ready).map(([cache, { readyMs, firstCallMs, inProcessMs }]) => {
            const shown = [readyMs, firstCallMs, inProcessMs].map(
              (each) => `${each.median.toFixed(0)} (${each.slowest.toFixed(0)})`,
            );
            return [cache, shown[0] ?? "", readyMs.median / nodeMs, ...shown.slice(1)];
          }),
        },
        {
          title: `${place}: memory of the mesh process, MB (median of ${memoryRepeats})`,
          columns: ["", "VmRSS", "without files"],
          rows: [
            [`${idleMs / 1_000} s after ready`, rssMb.idle, rssMb.idleAnonymous],
            ["after a turn with a tool", rssMb.afterTurn, ""],
            [`${afterTurnMs / 1_000} s later`, rssMb.later, ""],
          ],
        },
        {
          title: `${place}: production dependencies, MB (${dependencies.packages} packages)`,
          columns: ["package", "files", "on disk"],
          rows: [
            ...largest,
            ["all", dependencies.totalMb, dependencies.diskMb],
            ...(dependencies.ownMb > 0 ? [[`${ownName} itself`, "", dependencies.ownMb]] : []),
          ],
        },
      ]),
      aims: figures.flatMap(({ place, nodeMs, ready, rssMb, dependencies }) => [
        {
          name: `${place}: ready, warm cache`,
          value: ready.warm.readyMs.median / nodeMs,
          aim: { atMost: 6 },
          unit: "× node -e 0",
        },
        { name: `${place}: idle memory`, value: rssMb.idle, aim: { atMost: 100 }, unit: "MB" },
        { name: `${place}: dependencies on disk`, value: dependencies.diskMb, aim: { atMost: 60 }, unit: "MB" },
        { name: `${place}: dependencies`, value: dependencies.packages, aim: { atMost: 120 }, unit: "packages" },
      ]),
      notes: [`Node ${process.versions.node} on ${availableParallelism()} cores, nothing pinned.`],
      figures: { starts, places: figures },
    },
    values.json === true,
  );
}

function summarizeStarts(times: readonly StartTimes[]) {
  const summary = (pick: (each: StartTimes) => number) => {
    const all = times.map(pick);
    return { median: median(all), slowest: quantile(all, 1) };
  };
  return {
    readyMs: summary((each) => each.readyMs),
    firstCallMs: summary((each) => each.firstCallMs),
    inProcessMs: summary((each) => each.inProcessMs),
  };
}
