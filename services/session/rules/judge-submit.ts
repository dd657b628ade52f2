/**
 * Keeps R3: how a message enters a session. Pure: what must be read for it is handed in as readers, so that a driver
 * reads no more than the mode needs.
 */
import type { MessageEntry } from "../store/changes.ts";

/** Commands of one run that may be open. */
export const maxOpenCommands = 64;
/** Messages that one collecting run answers. */
export const maxCollectedMessages = 100;

/** The session, and readers of what a mode may ask about it. */
export interface SubmitFacts {
  readonly isClosed: boolean;
  readonly headSeq: number;
  /** Empty when none is active. */
  readonly activeRunId: string;
  /** Runs that wait. */
  readonly queuedRuns: number;
  readonly activeRun: () => { readonly isCancelled: boolean; readonly openCommands: number } | undefined;
  /** The waiting run that will be taken first. */
  readonly firstWaiting: () => { readonly runId: string } | undefined;
  /** The newest waiting run that a collected message like this one made. */
  readonly collecting: () => { readonly runId: string; readonly messages: number } | undefined;
}

export interface SubmitAsk {
  readonly mode: MessageEntry["kind"];
  /** Refuse when the head is another, 0 being that of an empty session; undefined for no check. */
  readonly ifHeadSeq: number | undefined;
  readonly maxQueuedRuns: number;
}

export type SubmitVerdict =
  | { readonly kind: "session-closed" }
  | { readonly kind: "head-moved"; readonly headSeq: number }
  | { readonly kind: "session-busy"; readonly runId: string }
  | { readonly kind: "queue-full"; readonly limit: number }
  /** A run of its own; `interrupts` when the active run is asked to stop. */
  | { readonly kind: "queue"; readonly interrupts: boolean }
  /** The active run reads it. */
  | { readonly kind: "steer"; readonly runId: string }
  /** A waiting run answers it with the others that it collects. */
  | { readonly kind: "join"; readonly runId: string };

/** What a message finds where there is no session yet. */
export const noSession: SubmitFacts = {
  isClosed: false,
  headSeq: 0,
  activeRunId: "",
  queuedRuns: 0,
  activeRun: () => undefined,
  firstWaiting: () => undefined,
  collecting: () => undefined,
};

export function judgeSubmit(facts: SubmitFacts, ask: SubmitAsk): SubmitVerdict {
  if (facts.isClosed) return { kind: "session-closed" };
  if (ask.ifHeadSeq !== undefined && ask.ifHeadSeq !== facts.headSeq)
    return { kind: "head-moved", headSeq: facts.headSeq };
  const queue = (interrupts: boolean): SubmitVerdict =>
    facts.queuedRuns >= ask.maxQueuedRuns
      ? { kind: "queue-full", limit: ask.maxQueuedRuns }
      : { kind: "queue", interrupts };
  const { activeRunId } = facts;
  switch (ask.mode) {
    case "followup":
      return queue(false);
    case "reject": {
      const runId = activeRunId || facts.firstWaiting()?.runId;
      return runId ? { kind: "session-busy", runId } : queue(false);
    }
    case "interrupt":
      return queue(activeRunId !== "");
    case "steer": {
      const active = activeRunId === "" ? undefined : facts.activeRun();
      // A run that was asked to stop reads nothing any more.
      if (active === undefined || active.isCancelled) return queue(false);
      return active.openCommands >= maxOpenCommands
        ? { kind: "queue-full", limit: maxOpenCommands }
        : { kind: "steer", runId: activeRunId };
    }
    case "collect": {
      const collecting = facts.queuedRuns === 0 ? undefined : facts.collecting();
      return collecting !== undefined && collecting.messages < maxCollectedMessages
        ? { kind: "join", runId: collecting.runId }
        : queue(false);
    }
  }
}
