/** What random schedules speak of: bugs that are planted, asks, batches, runs. */
import type { OpenCommand } from "./run-commands.ts";

export const plantedBugs = [
  "no fence",
  "dedupe forgotten",
  "another body answered",
  "resent batch appended",
  "two runs at once",
  "queue ignores priority",
  "queue ignores arrival",
  "unread messages forgotten",
  "steer closed before it is read",
  "collected into a running run",
  "running runs forgotten at start",
  "silent worker kept",
  "broken stream not noticed",
  "ended run ends again",
  "answer before commit",
  "take-over keeps the epoch",
  "cancel without a grace",
] as const;
export type PlantedBug = (typeof plantedBugs)[number] | undefined;

/** A promise that a schedule broke. */
export class Broken extends Error {
  override readonly name = "Broken";
}

export const modes = ["followup", "steer", "collect", "interrupt", "reject"] as const;

export interface Ask {
  readonly requestId: number;
  readonly digest: string;
  readonly session: number;
  readonly mode: (typeof modes)[number];
  readonly priority: number;
}

export interface Batch {
  readonly runId: number;
  readonly epoch: number;
  readonly batchNo: number;
  readonly acted: number;
  /** Messages that a model call of this batch is the first to read. */
  readonly reads: readonly number[];
  /** The status of its RunFinished; 0 when the run goes on. */
  readonly ends: number;
}

export interface WorldRun {
  readonly runId: number;
  readonly session: number;
  readonly arrival: number;
  readonly priority: number;
  readonly state: "queued" | "running" | "finished";
  readonly status: number;
  readonly failure: Uint8Array;
  readonly epoch: number;
  readonly attempt: number;
  readonly batchNo: number;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  readonly finishedSeq: number;
  readonly cancelledBy: string;
  readonly cancelReason: string;
  readonly messageIds: readonly number[];
  readonly collects: boolean;
  readonly commands: readonly OpenCommand[];
  readonly lastCommandId: number;
}

/** What the checks keep of a run, apart from the store. */
export interface Witness {
  /** The newest epoch that anybody was given. */
  fence: number;
  ends: number;
  readonly batches: Set<string>;
  /** Messages that a committed model call has read. */
  readonly read: Set<number>;
}

/** Numbers of RunStatus. */
export const completed = 1;
export const cancelled = 3;
