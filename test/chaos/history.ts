/**
 * What each part of a chaos run saw, in a file of its own: a line of JSON each, written before it is acted on. The
 * checker reads these files and nothing else of the run.
 */
import { closeSync, createReadStream, openSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";

/** Milliseconds of the machine's monotonic clock, the same in all processes. */
export const nowMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

/** What a writer saw. */
export type WriterRecord =
  /** About to be sent for the first time; `mark` stands in the message's text and in no other. */
  | {
      readonly kind: "send";
      readonly requestId: string;
      readonly key: string;
      readonly mark: string;
      readonly mode: string;
    }
  | {
      readonly kind: "answer";
      readonly requestId: string;
      readonly sessionId: string;
      readonly runId: string;
      readonly messageId: string;
      readonly seq: number;
      readonly logId: string;
    }
  /** Refused for good: nothing may come of this copy. `cause` names the ErrorReason; empty when it came without one. */
  | { readonly kind: "refused"; readonly requestId: string; readonly cause: string; readonly reason: string }
  | { readonly kind: "cancel"; readonly runId: string };

/** One event as a reader applied it. */
export interface AppliedEvent {
  readonly first: number;
  readonly seq: number;
  readonly body: string;
  readonly run: string;
  readonly attempt: number;
  readonly step: number;
  /** Of a delta. */
  readonly block?: string;
  readonly offset?: number;
  readonly text?: string;
  /** Of a tool call's event. */
  readonly call?: string;
  /** Of a tool call's proposal: the tool, and what its argument `text` says. */
  readonly tool?: string;
  readonly argument?: string;
  /** Of a tool call's end: whether the tool answered. */
  readonly succeeded?: boolean;
  /** Of a step that was taken back: which. */
  readonly discarded?: number;
  /** Of a run's end: whether the agent brought it there by itself. */
  readonly completed?: boolean;
  /** Of the end of a run that failed: why. */
  readonly failed?: string;
  /** Of a message's event, of the run that it made or joined, of the step that read it. */
  readonly messages?: readonly string[];
  /** The first word of a message, which no other message has. */
  readonly mark?: string;
  /** Of a run's start and of each that took it up again: who holds it from then on, and the wall clock then. */
  readonly worker?: string;
  readonly wallMs?: number;
  /** Of every event but a delta: a digest of what it says. */
  readonly digest?: string;
}

/** What a reader saw. */
export type ReaderRecord =
  /** A stream begins after this seq of this log. */
  | { readonly kind: "open"; readonly after: number; readonly logId: string; readonly atMs: number }
  | { readonly kind: "events"; readonly logId: string; readonly atMs: number; readonly events: readonly AppliedEvent[] }
  /** A frame without events. */
  | { readonly kind: "life"; readonly atMs: number }
  | { readonly kind: "broken"; readonly atMs: number; readonly why: string };

/** What the nemesis did, and what the supervisor made good. */
export type FaultRecord =
  | {
      readonly kind: "killed";
      readonly services: readonly string[];
      /** Of the agents among them, as the events name them. */
      readonly workerIds: readonly string[];
      readonly atMs: number;
    }
  | {
      readonly kind: "frozen";
      readonly service: string;
      readonly workerIds: readonly string[];
      readonly forMs: number;
      readonly atMs: number;
    }
  | { readonly kind: "cut"; readonly proxy: string; readonly connections: number; readonly atMs: number }
  | {
      readonly kind: "dark" | "muted";
      readonly proxy: string;
      readonly forMs: number;
      readonly connections: number;
      readonly atMs: number;
    }
  /** The wall clock of all services is this much ahead of the machine's from now on. */
  | { readonly kind: "clock"; readonly aheadMs: number; readonly atMs: number }
  /** Asked to end (SIGTERM), and what became of it. */
  | { readonly kind: "draining"; readonly service: string; readonly atMs: number }
  | {
      readonly kind: "drained";
      readonly service: string;
      readonly code: string;
      readonly tookMs: number;
      readonly atMs: number;
    }
  | { readonly kind: "ready"; readonly service: string; readonly atMs: number }
  | { readonly kind: "died"; readonly service: string; readonly code: string; readonly atMs: number };

export interface History<Record> {
  readonly write: (record: Record) => void;
  readonly close: () => void;
}

export function openHistory<Record>(path: string): History<Record> {
  const file = openSync(path, "a");
  return {
    write: (record) => void writeSync(file, `${JSON.stringify(record)}\n`),
    close: () => closeSync(file),
  };
}

/** The last line may be half written when its writer was killed. */
export async function* readHistory<Record>(path: string): AsyncGenerator<Record> {
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.endsWith("}")) yield JSON.parse(line) as Record;
  }
}
