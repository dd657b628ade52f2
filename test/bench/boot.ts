/**
 * How fast a mesh starts, how much memory it takes, and how large its dependencies are:
 * `npm run bench:boot [-- --json] [--starts 9]`.
 *
 * Measures
 * - Ready: from before the process is spawned to its "ready at" line, and to the answer of the first authenticated call,
 *   from this process over HTTP/2. Embedded, offline model, default configuration with its MCP server, a new data folder
 *   each time. "Cold" starts have an empty compile cache each, "warm" ones share one that earlier starts filled.
 *   Both kinds alternate; medians are reported. Nothing is pinned: this process only waits, and a start that may use
 *   one core alone is no start that a person sees.
 * - Memory: VmRSS of the mesh process alone, three times each: 3 s after ready with nobody connected,
 *   after a turn with a tool call, and 5 s later with its client still connected.
 * - Size: files of the installed packages that the lock file does not mark as development-only, without Node itself.
 *
 * Does not measure
 * - The first build of the web page (it is built before), npm's own start (`npm start` adds it), or cold disk caches:
 *   earlier starts have read the files already.
 * - When the MCP server is up: the mesh is ready before it, and a turn that needs it waits.
 * - The MCP server's memory. VmRSS counts pages of the Node binary that other Node processes share.
 *
 * Bounded: at most 25 starts of each kind, and 10 minutes.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createClient } from "@connectrpc/connect";
import { GatewayService } from "../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { transportTo } from "../support/mesh-process.ts";
import { endAfter } from "./end-in-time.ts";
import { type StartedMesh, type StartTimes, startMeshTimed } from "./mesh-start.ts";
import { printReport } from "./print-report.ts";
import { readMemoryMb } from "./process-usage.ts";
import { measureProductionPackages } from "./production-size.ts";
import { median, quantile } from "./quantiles.ts";

const root = resolve(import.meta.dirname, "../..");
const longestMs = 600_000;
const memoryRepeats = 3;
const idleMs = 3_000;
const afterTurnMs = 5_000;
const bytesPerMb = 1_000_000;
const shownPackages = 10;

const { values } = parseArgs({ options: { json: { type: "boolean" }, starts: { type: "string", default: "9" } } });
const starts = Number(values.starts);
if (!Number.isInteger(starts) || starts < 1 || starts > 25) throw new RangeError("--starts must be from 1 to 25");
const callOffEnd = endAfter("bench:boot", longestMs);

buildWebPage();
const folder = mkdtempSync(join(tmpdir(), "atoll-bench-"));
try {
  const { cold, warm } = await measureStarts();
  const memory = await measureMemory();
  report(cold, warm, memory);
} finally {
  rmSync(folder, { recursive: true, force: true });
  callOffEnd();
}

function buildWebPage(): void {
  if (existsSync(join(root, "web/dist/index.html"))) return;
  const { status, stderr } = spawnSync("npm", ["run", "build:web"], { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error(`the web page could not be built\n${stderr}`);
}

async function measureStarts(): Promise<{ cold: StartTimes[]; warm: StartTimes[] }> {
  const cold: StartTimes[] = [];
  const warm: StartTimes[] = [];
  // Two starts that do not count: the first fills the disk cache, and both the warm compile cache.
  for (let start = -2; start < starts; start++) {
    const warmTimes = await startOnce(join(folder, "warm-cache"));
    if (start < 0) continue;
    warm.push(warmTimes);
    cold.push(await startOnce(mkdtempSync(join(folder, "cold-cache-"))));
  }
  return { cold, warm };
}

async function startOnce(compileCache: string): Promise<StartTimes> {
  const mesh = await startMeshTimed(newHome(), compileCache);
  await mesh.stop();
  return mesh.times;
}

interface MemoryRun {
  readonly idleMb: number;
  readonly idleAnonymousMb: number;
  readonly afterTurnMb: number;
  readonly laterMb: number;
}

async function measureMemory(): Promise<MemoryRun[]> {
  const runs: MemoryRun[] = [];
  for (let repeat = 0; repeat < memoryRepeats; repeat++) {
    const mesh = await startMeshTimed(newHome(), join(folder, "warm-cache"));
    try {
      await sleep(idleMs);
      const idle = readMemoryMb(mesh.pid);
      await runToolTurn(mesh);
      const afterTurnMb = readMemoryMb(mesh.pid).rss;
      await sleep(afterTurnMs);
      runs.push({
        idleMb: idle.rss,
        idleAnonymousMb: idle.anonymous,
        afterTurnMb,
        laterMb: readMemoryMb(mesh.pid).rss,
      });
    } finally {
      await mesh.stop();
    }
  }
  return runs;
}

/** A turn of the offline model that reads a file; throws when no tool was really called. */
async function runToolTurn({ url, token }: StartedMesh): Promise<void> {
  const client = createClient(GatewayService, transportTo(url, token));
  const call = { timeoutMs: 30_000 };
  const { sessionId, runId } = await client.sendMessage(
    {
      requestId: "bench-boot",
      session: { case: "sessionKey", value: "bench" },
      message: { content: [{ block: { case: "text", value: { text: "What does notes.md say?" } } }] },
    },
    call,
  );
  let finishedCalls = 0;
  for await (const { events } of client.subscribe({ sessionId, untilRunId: runId }, call)) {
    finishedCalls += events.filter(({ body }) => body.case === "toolCallFinished").length;
  }
  if (finishedCalls === 0) throw new Error("the turn called no tool");
}

function newHome(): string {
  const home = mkdtempSync(join(folder, "mesh-"));
  mkdirSync(join(home, "workspace"));
  writeFileSync(join(home, "workspace", "notes.md"), "# Notes\nBuy a boat.\n");
  return home;
}

function report(cold: readonly StartTimes[], warm: readonly StartTimes[], memory: readonly MemoryRun[]): void {
  const packages = measureProductionPackages(root);
  const totalMb = packages.reduce((sum, each) => sum + each.bytes, 0) / bytesPerMb;
  const diskMb = packages.reduce((sum, each) => sum + each.diskBytes, 0) / bytesPerMb;
  const memoryOf = (pick: (run: MemoryRun) => number) => median(memory.map(pick));
  const ready = { cold: summarizeStarts(cold), warm: summarizeStarts(warm) };
  const rssMb = {
    idle: memoryOf((run) => run.idleMb),
    idleAnonymous: memoryOf((run) => run.idleAnonymousMb),
    afterTurn: memoryOf((run) => run.afterTurnMb),
    later: memoryOf((run) => run.laterMb),
  };
  const largest = packages.slice(0, shownPackages);
  printReport(
    {
      bench: "boot",
      tables: [
        {
          title: `Start, ms (median of ${starts}; slowest in brackets)`,
          columns: ["compile cache", "ready line", "first call", "inside the mesh"],
          rows: Object.entries(ready).map(([cache, { readyMs, firstCallMs, inProcessMs }]) => [
            cache,
            ...[readyMs, firstCallMs, inProcessMs].map(
              (each) => `${each.median.toFixed(0)} (${each.slowest.toFixed(0)})`,
            ),
          ]),
        },
        {
          title: `Memory of the mesh process, MB (median of ${memoryRepeats})`,
          columns: ["", "VmRSS", "without files"],
          rows: [
            [`${idleMs / 1_000} s after ready`, rssMb.idle, rssMb.idleAnonymous],
            ["after a turn with a tool", rssMb.afterTurn, ""],
            [`${afterTurnMs / 1_000} s later`, rssMb.later, ""],
          ],
        },
        {
          title: `Production dependencies, MB (${packages.length} packages)`,
          columns: ["package", "files", "on disk"],
          rows: [
            ...largest.map((each) => [each.name, each.bytes / bytesPerMb, each.diskBytes / bytesPerMb]),
            ["all", totalMb, diskMb],
          ],
        },
      ],
      aims: [
        { name: "ready, warm cache", value: ready.warm.readyMs.median, aim: { atMost: 1_500 }, unit: "ms" },
        { name: "ready, cold cache", value: ready.cold.readyMs.median, aim: { atMost: 1_500 }, unit: "ms" },
        { name: "idle memory", value: rssMb.idle, aim: { atMost: 150 }, unit: "MB" },
        { name: "dependencies on disk", value: diskMb, aim: { atMost: 100 }, unit: "MB" },
      ],
      notes: [`Node ${process.versions.node} on ${availableParallelism()} cores, nothing pinned.`],
      figures: { starts, ready, rssMb, dependencies: { packages: packages.length, totalMb, diskMb, largest } },
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
