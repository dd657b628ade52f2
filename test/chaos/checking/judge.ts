/** The verdict over a chaos run: every check, what landed of the plan, and how long readers waited. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { quantile } from "../../bench/quantiles.ts";
import type { FaultKind } from "../faults/nemesis.ts";
import type { System } from "../faults/system.ts";
import { nowMs } from "../history.ts";
import { checkFaults, readFaults } from "./check-faults.ts";
import { checkLog } from "./check-log.ts";
import { checkReader, type ReaderFacts } from "./check-reader.ts";
import { checkWriters, sessionsOf } from "./check-writers.ts";
import { countLateWriters } from "./late-writers.ts";
import { type FinalLog, readLogs, waitUntilQuiet } from "./read-logs.ts";
import { resumeTimes } from "./resume-times.ts";
import { takeoverTimes } from "./takeover-times.ts";
import { wallReader } from "./wall-times.ts";

export interface Verdict {
  readonly ok: boolean;
  readonly text: string;
  readonly figures: object;
}

const quietMs = 60_000;
const mostProblemsShown = 25;

export async function judge(run: {
  readonly folder: string;
  readonly system: System;
  /** Whether the clients came to rest by themselves. */
  readonly rested: boolean;
  /** The kinds of faults that fell due. */
  readonly due: ReadonlySet<FaultKind>;
  readonly seed: number;
}): Promise<Verdict> {
  const { folder, system } = run;
  const problems: string[] = [];
  const report = (problem: string): void => void problems.push(problem);
  const named = (start: string) =>
    readdirSync(folder)
      .filter((file) => file.startsWith(start))
      .map((file) => join(folder, file));

  if (!run.rested) report("the clients did not come to rest");
  const sessionIds = [...(await sessionsOf(named("writer-")))];
  const url = system.directUrl();
  if (!(await waitUntilQuiet(url, system.token, sessionIds, performance.now() + quietMs))) {
    report(`R2 a run was stuck ${quietMs} ms after the last fault`);
  }
  const finalLogs = await readLogs(url, system.token, sessionIds);
  const logs = new Map<string, FinalLog>(finalLogs.map((log) => [log.sessionId, log]));
  const runs = finalLogs.flatMap((log) => [...checkLog(log, report).values()]);
  const readers: ReaderFacts[] = [];
  for (const file of named("reader-")) readers.push(await checkReader(file, logs, report));
  const writers = await checkWriters(named("writer-"), system.callHistory, logs, report);
  const faults = await readFaults(join(folder, "faults.jsonl"));

  const atMs = wallReader(faults.records, Date.now() - nowMs(), nowMs());
  const takeover = takeoverTimes(logs.values(), faults.records, atMs);
  const lateWriters = countLateWriters(logs.values(), faults.records, atMs);
  const lateWrites = system.lateWrites();
  const takeovers = runs.reduce((sum, { takeovers: count }) => sum + count, 0);
  if (runs.length === 0) report("nothing ran: the workload did not work");
  const prompt = readers.filter(({ isPrompt }) => isPrompt);
  const resume = resumeTimes(
    faults.records,
    prompt.map(({ framesAtMs }) => framesAtMs),
  );
  const takeoverMs = [...takeover.killed, ...takeover.frozen];
  checkFaults(faults, { due: run.due, lateWriters, lateWrites, resumeMs: resume, takeoverMs }, report);

  const figures = {
    seed: run.seed,
    sessions: sessionIds.length,
    runs: runs.length,
    eventsPerRun: runs.length === 0 ? 0 : runs.reduce((sum, { events }) => sum + events, 0) / runs.length,
    takeovers,
    ...writers,
    readers: readers.length,
    streams: readers.reduce((sum, { streams }) => sum + streams, 0),
    eventsRead: readers.reduce((sum, { events }) => sum + events, 0),
    kills: faults.landed.kill,
    killsOfAll: faults.landed["kill all"],
    frozen: faults.landed.freeze,
    cuts: faults.landed.cut,
    drains: faults.landed.drain,
    clockJumps: faults.landed.clock,
    lateWriters,
    lateWritesRefused: lateWrites,
    takeoversOfKilled: takeover.killed.length,
    killedP50Ms: quantile(takeover.killed, 0.5),
    killedP99Ms: quantile(takeover.killed, 0.99),
    takeoversOfFrozen: takeover.frozen.length,
    frozenP50Ms: quantile(takeover.frozen, 0.5),
    frozenP99Ms: quantile(takeover.frozen, 0.99),
    resumes: resume.length,
    resumeP50Ms: quantile(resume, 0.5),
    resumeP99Ms: quantile(resume, 0.99),
    resumeMaxMs: quantile(resume, 1),
    problems: problems.length,
  };
  return {
    ok: problems.length === 0,
    text: show(figures, problems),
    figures: { ...figures, found: problems.slice(0, 200) },
  };
}

function show(figures: Readonly<Record<string, number>>, problems: readonly string[]): string {
  const width = Math.max(...Object.keys(figures).map((name) => name.length));
  const rows = Object.entries(figures).map(([name, value]) => `${name.padEnd(width)}  ${Math.round(value * 10) / 10}`);
  const found =
    problems.length === 0
      ? "0 lost, 0 repeated, 0 reordered, 0 stuck"
      : `${problems.length} PROBLEMS\n${problems.slice(0, mostProblemsShown).join("\n")}`;
  return `\n${rows.join("\n")}\n\n${found}\n`;
}
