/** Histories made by hand, for the tests of the checker. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AppliedEvent } from "../history.ts";
import type { FinalLog } from "./read-logs.ts";

/** An event of run_a outside a step, unless it says otherwise; its place is where it stands. */
export type Said = Partial<Omit<AppliedEvent, "first" | "seq">> & Pick<AppliedEvent, "body">;

/** A log of session ses_a with the events in order, and a snapshot that says the same. */
export function logOf(...said: readonly Said[]): FinalLog {
  const events = said.map((event, index) => {
    const place = { first: index + 1, seq: index + 1, run: "run_a", attempt: 0, step: 0, digest: event.body };
    return { ...place, ...event };
  });
  return { sessionId: "ses_a", logId: "log_a", headSeq: events.length, events, snapshot: events };
}

export const logsOf = (...said: readonly Said[]): ReadonlyMap<string, FinalLog> => new Map([["ses_a", logOf(...said)]]);

/** A message with the id `msg_<mark>` that belongs to a run, here one of its own. */
export const received = (mark: string, run = "run_a"): Said => ({
  body: "messageReceived",
  run,
  mark,
  messages: [`msg_${mark}`],
});

export const queued = (marks: readonly string[], run = "run_a"): Said => ({
  body: "runQueued",
  run,
  messages: marks.map((mark) => `msg_${mark}`),
});

export const finished = (run = "run_a"): Said => ({ body: "runFinished", run, completed: true });

export interface HistoryFolder {
  /** Writes a history, a line for each record; returns its path. */
  readonly write: (name: string, records: readonly object[]) => string;
  readonly remove: () => void;
}

export function openHistoryFolder(): HistoryFolder {
  const folder = mkdtempSync(join(tmpdir(), "atoll-histories-"));
  return {
    write(name, records) {
      const path = join(folder, name);
      writeFileSync(path, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
      return path;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
