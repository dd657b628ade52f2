/**
 * A mesh under faults, and a judge that knows only what its clients saw:
 * `npm run chaos [-- --seconds 300 | --runs 10000] [--seed N] [--sessions 12] [--events-per-run 40] [--keep] [--json]`.
 *
 * Real processes (split topology, two gateways, three workers), a fake model API, a real MCP server that writes down
 * every call; writers and readers with their own histories; kill -9 of one service every 2 s and of all every 60 s,
 * frozen workers, services that are asked to end, a wall clock that jumps by hours, connections that are cut, go dark or
 * lose their answers. Then the faults stop, all comes to rest, and
 * check-*.ts read the histories and one last read of every log. Exit code 0 when every promise held and the planned
 * faults landed.
 *
 * Bounded: by --seconds (default 120), or by --runs (accepted runs; some messages join one) with at most three hours; ends
 * only processes that it started.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { judge } from "./checking/judge.ts";
import { carryOut, type Pace, planFaults } from "./faults/nemesis.ts";
import { System } from "./faults/system.ts";
import { type FaultRecord, openHistory } from "./history.ts";
import { createRandom } from "./random.ts";

const { values: flags } = parseArgs({
  options: {
    seconds: { type: "string", default: "120" },
    runs: { type: "string" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    sessions: { type: "string", default: "12" },
    "events-per-run": { type: "string", default: "40" },
    modes: { type: "string", default: "followup,followup,followup,interrupt,steer,collect" },
    // What single kills hit: names of services that begin with it; empty for every one.
    kill: { type: "string", default: "" },
    "kill-every-ms": { type: "string", default: "2000" },
    "kill-all-every-ms": { type: "string", default: "60000" },
    "freeze-every-ms": { type: "string", default: "5000" },
    "cut-every-ms": { type: "string", default: "3000" },
    "drain-every-ms": { type: "string", default: "10000" },
    "clock-every-ms": { type: "string", default: "15000" },
    "lease-ttl-ms": { type: "string", default: "2000" },
    root: { type: "string", default: resolve(import.meta.dirname, "../..") },
    keep: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});

const seed = Number(flags.seed);
const runs = flags.runs === undefined ? Number.MAX_SAFE_INTEGER : Number(flags.runs);
const seconds = flags.runs === undefined ? Number(flags.seconds) : 10_800;
const pace: Pace = {
  killEveryMs: Number(flags["kill-every-ms"]),
  killAllEveryMs: Number(flags["kill-all-every-ms"]),
  freezeEveryMs: Number(flags["freeze-every-ms"]),
  cutEveryMs: Number(flags["cut-every-ms"]),
  drainEveryMs: Number(flags["drain-every-ms"]),
  clockEveryMs: Number(flags["clock-every-ms"]),
  leaseTtlMs: Number(flags["lease-ttl-ms"]),
};
const say = (line: string): void => void (flags.json ? process.stderr : process.stdout).write(`${line}\n`);

const folder = mkdtempSync(join(tmpdir(), "atoll-chaos-"));
const faults = openHistory<FaultRecord>(join(folder, "faults.jsonl"));
say(`seed ${seed}, histories in ${folder}`);
const system = await System.start({
  folder,
  root: flags.root,
  workers: 3,
  gateways: 2,
  leaseTtlMs: pace.leaseTtlMs,
  faults,
});
const stopNow = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopNow.abort());

const random = createRandom(seed);
const targets = {
  services: system.names("").filter((name) => name.startsWith(flags.kill)),
  workers: system.names("agent"),
  proxies: system.proxies.map(({ name }) => name),
};
const plan = planFaults(random, seconds * 1_000, pace, targets);
const workload = startWorkload();
const over = new AbortController();
const end = (): void => over.abort();
stopNow.signal.addEventListener("abort", end, { once: true });
void workload.written.then(end);
const timer = setTimeout(end, seconds * 1_000);
const untilOver = new Promise<void>((settle) => over.signal.addEventListener("abort", () => settle(), { once: true }));
const [due] = await Promise.all([carryOut(plan, system, faults, over.signal), untilOver]);
clearTimeout(timer);
await system.whole();
say("the faults are over; waiting until all has come to rest");
workload.stop();
const rested = await workload.done;
const verdict = await judge({ folder, system, rested, due, seed });
await system.close();
faults.close();
if (flags.json) process.stdout.write(`${JSON.stringify(verdict.figures)}\n`);
else process.stdout.write(verdict.text);
if (verdict.ok && !flags.keep) rmSync(folder, { recursive: true, force: true });
else say(`the histories are in ${folder}`);
process.exit(verdict.ok ? 0 : 1);

function startWorkload() {
  const options = {
    gatewayUrls: system.gatewayUrls(),
    token: system.token,
    folder,
    seed,
    sessions: Number(flags.sessions),
    eventsPerRun: Number(flags["events-per-run"]),
    runs,
    modes: flags.modes.split(","),
  };
  const child = spawn(process.execPath, [resolve(import.meta.dirname, "load/workload.ts"), JSON.stringify(options)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const written = Promise.withResolvers<void>();
  const done = Promise.withResolvers<boolean>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (line === "written") written.resolve();
    if (line === "done") done.resolve(true);
  });
  child.once("exit", () => {
    written.resolve();
    done.resolve(false);
  });
  process.once("exit", () => child.kill("SIGKILL"));
  return {
    written: written.promise,
    done: done.promise,
    stop: () => void child.stdin.write("stop\n"),
  };
}
