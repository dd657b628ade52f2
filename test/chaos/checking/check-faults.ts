/**
 * Whether a run proves something: what was planned landed, and what it struck came back in time. A run in which the
 * planned faults did not land proves nothing and fails.
 *
 * The bounds of the waits are for what is broken: far over what a sound mesh needs on a busy machine.
 */

import { type FaultKind, faultKinds } from "../faults/nemesis.ts";
import { type FaultRecord, readHistory } from "../history.ts";

export interface Faults {
  /** How many landed of each kind. */
  readonly landed: Readonly<Record<FaultKind, number>>;
  readonly records: readonly FaultRecord[];
}

/** What followed from the faults. */
export interface Aftermath {
  /** The kinds of faults that fell due. */
  readonly due: ReadonlySet<FaultKind>;
  /** Workers that woke without a run that they had held (late-writers.ts). */
  readonly lateWriters: number;
  /** Batches that were refused because another worker had the run. */
  readonly lateWrites: number;
  /** Milliseconds that readers waited behind a return. */
  readonly resumeMs: readonly number[];
  /** Milliseconds that runs were without a worker. */
  readonly takeoverMs: readonly number[];
}

/** One worker that wakes may be told what it lost before it writes; several are not. */
const enoughLateWriters = 4;
const maxResumeMs = 30_000;
/** hardening.md, drain. */
const maxDrainMs = 35_000;
const maxTakeoverMs = 30_000;

export async function readFaults(file: string): Promise<Faults> {
  const landed = { kill: 0, "kill all": 0, freeze: 0, cut: 0, drain: 0, clock: 0 };
  const records: FaultRecord[] = [];
  for await (const record of readHistory<FaultRecord>(file)) {
    records.push(record);
    switch (record.kind) {
      case "killed":
        landed[record.services.length > 1 ? "kill all" : "kill"] += 1;
        break;
      case "frozen":
        landed.freeze += 1;
        break;
      case "cut":
      case "dark":
      case "muted":
        if (record.connections > 0) landed.cut += 1;
        break;
      case "drained":
        landed.drain += 1;
        break;
      case "clock":
        landed.clock += 1;
        break;
      case "draining":
      case "ready":
      case "died":
        break;
    }
  }
  return { landed, records };
}

export function checkFaults({ landed, records }: Faults, after: Aftermath, report: (problem: string) => void): void {
  for (const kind of faultKinds) {
    if (after.due.has(kind) && landed[kind] === 0) {
      report(`no ${kind} landed, though the plan had one: a run without its faults proves nothing`);
    }
  }
  for (const record of records) {
    if (record.kind === "died") report(`a service ended by itself: ${record.service} with ${record.code}`);
    if (record.kind !== "drained") continue;
    if (record.code !== "0") report(`a service that was asked to end did so with ${record.code}: ${record.service}`);
    if (record.tookMs > maxDrainMs)
      report(`${record.service} took ${Math.round(record.tookMs)} ms to end, more than ${maxDrainMs}`);
  }
  if (after.lateWriters >= enoughLateWriters && after.lateWrites === 0) {
    report(`L4 ${after.lateWriters} frozen workers woke without their runs, and no late write was refused`);
  }
  const slowest = (times: readonly number[]): number => Math.round(Math.max(0, ...times));
  const [resumeMs, takeoverMs] = [slowest(after.resumeMs), slowest(after.takeoverMs)];
  if (resumeMs > maxResumeMs) {
    report(`S2 a reader waited ${resumeMs} ms for a service that was back, more than ${maxResumeMs}`);
  }
  if (takeoverMs > maxTakeoverMs) {
    report(`R2 a run was without a worker for ${takeoverMs} ms, more than ${maxTakeoverMs}`);
  }
}
