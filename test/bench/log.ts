/**
 * What the log carries: `npm run bench:log [-- --json] [--seconds 3] [--events 100000]`.
 *
 * Measures
 * - At the store's port, in this process and with every core to itself, SQLite with group commit and fsync: deduplicated
 *   submits with 64 in flight, and deltas in batches of 16, over 10 to 10 000 sessions; against single durable commits of
 *   SQLite alone in the same run.
 * - Over RPC, the session service in a process of its own on its own core: submits with 64 in flight on four HTTP/2
 *   connections; deltas from a worker's Attach stream to what a Watch stream delivered, of 1 to 10 000 sessions.
 * - A log of 100 000 deltas beside 10 to 10 000 sessions: bytes an event, reading it whole, opening its snapshot, as
 *   written and after compaction; over RPC the snapshot and a watcher from the beginning, for a client in a process of its
 *   own, with nobody else at work and nothing pinned.
 *
 * Rates of submits, of deltas at the port and of single commits are the median of half-second slices (slice-rates.ts).
 *
 * Does not measure
 * - Models, tools, gateways, browsers. Networks: loopback has no delay and no loss.
 * - Disks: the fsync is that of the folder for temporary files on this machine.
 * - Several session instances. Memory over time.
 *
 * Bounded: at most 60 s a case, 10 minutes in all.
 */
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { endAfter } from "./end-in-time.ts";
import { type Flow, measureFlow } from "./log/log-flow.ts";
import { batchEvents } from "./log/log-load.ts";
import { measurePort, measureSingleCommits, type PortRates } from "./log/log-port.ts";
import { startOpener } from "./log/log-resume.ts";
import { measureRemoteSubmits } from "./log/log-rpc.ts";
import { type LogSizes, measureLog } from "./log/log-size.ts";
import { startRemoteSession } from "./log/remote-session.ts";
import { pinning, pinProcess } from "./pin-cores.ts";
import { printReport } from "./print-report.ts";

const longestMs = 600_000;
const sessionCounts = [10, 100, 1_000, 10_000];
const flowEvents = 96_000;

const { values } = parseArgs({
  options: {
    json: { type: "boolean" },
    seconds: { type: "string", default: "3" },
    events: { type: "string", default: "100000" },
  },
});
const seconds = wholeNumber("seconds", values.seconds, 60);
const logEvents = wholeNumber("events", values.events, 1_000_000);
const callOffEnd = endAfter("bench:log", longestMs);

// First over RPC: what the port leaves on this process's heap would slow its part as a client down.
pinProcess(process.pid, "load");
// Whoever calls the session service is a process of the mesh (trim-memory.ts).
setFlagsFromString("--heap-growing-percent=150");
// A service of its own: the runs that these submits leave behind would be offered to the next worker.
const submitted = await startRemoteSession();
const submits = await measureRemoteSubmits(submitted, seconds);
await submitted.stop();
const remote = await startRemoteSession();
await measureFlow(remote, 1, 16_000);
const flows: Flow[] = [];
for (const sessions of [1, ...sessionCounts]) {
  flows.push(await measureFlow(remote, sessions, Math.max(batchEvents, Math.floor(flowEvents / sessions))));
}
const opener = await startOpener(remote, flows[0]?.sessionIds[0] ?? "");
const long = await measureFlow(remote, 1, logEvents);
// Question and answer, one after the other: client and service never work at the same time.
pinProcess(process.pid, "alone");
pinProcess(remote.pid, "alone");
const resume = await opener.measure(long.sessionIds[0] ?? "");
opener.stop();
await remote.stop();

const singleCommits = await measureSingleCommits(seconds);
const port: PortRates[] = [];
for (const sessions of sessionCounts) port.push(await measurePort(sessions, seconds));
const logs: LogSizes[] = [];
for (const sessions of sessionCounts) logs.push(await measureLog(logEvents, sessions));

printReport(
  {
    bench: "log",
    tables: [
      {
        title: "At the port: group commit with fsync",
        columns: ["sessions", "submits/s", "× single commits", "delta events/s", "× single commits"],
        rows: port.map(({ sessions, submitsPerSecond, deltasPerSecond }) => [
          String(sessions),
          submitsPerSecond,
          submitsPerSecond / singleCommits,
          deltasPerSecond,
          deltasPerSecond / singleCommits,
        ]),
      },
      {
        title: `A log of ${logEvents} deltas at the port, in one of so many sessions; the others have a batch`,
        columns: ["", "sessions", "bytes/event", "on disk", "events read/s", "snapshot ms", "snapshot events"],
        rows: logs
          .flatMap((sizes) => Object.entries(sizes))
          .map(([name, size]) => [
            name,
            String(size.sessions),
            size.bytesPerEvent,
            size.diskBytesPerEvent,
            size.readEventsPerSecond,
            size.snapshotMs,
            size.snapshotEvents,
          ]),
      },
      {
        title: "Over RPC: the session service in its own process",
        columns: ["", "a second", "CPU µs each"],
        rows: [
          ["submits, 64 in flight", submits.perSecond, submits.cpuMs * 1_000],
          ...flows.map(({ sessions, perSecond, cpuUsPerEvent }) => [
            `delta events, Attach to Watch, ${sessions} sessions at once`,
            perSecond,
            cpuUsPerEvent,
          ]),
        ],
      },
      {
        title: `Opening a session of ${resume.events} events over RPC`,
        columns: ["", "ms"],
        rows: [
          ["snapshot, as just written", resume.writtenSnapshotMs],
          ["until it is compacted", resume.compactedAfterMs],
          ["snapshot, compacted", resume.snapshotMs],
          ["watcher from the beginning to the head", resume.watchMs],
        ],
      },
    ],
    aims: [
      { name: "submits at the port", value: port[2]?.submitsPerSecond ?? 0, aim: { atLeast: 20_000 }, unit: "/s" },
      { name: "submits over RPC", value: submits.perSecond, aim: { atLeast: 2_000 }, unit: "/s" },
      { name: "deltas at the port", value: port[2]?.deltasPerSecond ?? 0, aim: { atLeast: 100_000 }, unit: "/s" },
      { name: "deltas, Attach to Watch", value: flows[0]?.perSecond ?? 0, aim: { atLeast: 30_000 }, unit: "/s" },
      { name: "snapshot over RPC", value: resume.snapshotMs, aim: { atMost: 50 }, unit: "ms" },
    ],
    notes: [
      `Node ${process.versions.node}. Cores: ${pinning}; at the port and for opening a session nothing is pinned. Single durable commits of SQLite alone: ${singleCommits.toFixed(0)}/s.`,
    ],
    figures: { singleCommits, port, logs, submits, flows, resume },
  },
  values.json === true,
);
callOffEnd();

function wholeNumber(name: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  process.stderr.write(`--${name}: expected a whole number from 1 to ${most}, got ${text}\n`);
  process.exit(2);
}
