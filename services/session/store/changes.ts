/** What a caller of the session store asks to be changed, and what it is answered. */

import type { Event } from "../../../gen/atoll/event/v1/event_pb.ts";
import type { Appended } from "../../kernel/event/appended.ts";
import type { OpenRun } from "../rules/fold-prefix.ts";
import type { RunsInReach } from "../rules/place-run.ts";
import type { RunCommandRow, RunRow, SessionRow } from "./rows.ts";

export interface NewSession {
  readonly sessionId: string;
  readonly logId: string;
  readonly key: string;
  readonly agentId: string;
  readonly title: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly parentSessionId: string;
  /** See SessionRow.profile. */
  readonly profile: Uint8Array;
}

/** What a caller may change of a session; what is left out stays as it is. */
export type SessionFacts = Partial<
  Pick<SessionRow, "title" | "labels" | "profile" | "idleTimeoutMs" | "contextFloorSeq">
>;

/** A change of a session's own facts. */
export interface SessionChange {
  readonly sessionId: string;
  /** Refuse when the head is another, 0 being that of an empty log; undefined for no check. */
  readonly ifHeadSeq: number | undefined;
  /** What changes, seen from the session as it is. */
  readonly change: (session: SessionRow) => SessionFacts;
  /** SessionUpdated, encoded without server fields; `session` has the new facts and not this event yet. */
  readonly event: (session: SessionRow) => Uint8Array;
}

export interface SessionChanged {
  readonly session: SessionRow;
  readonly appended: Appended;
}

export type ChangeRefusal =
  | { readonly kind: "session-not-found" }
  | { readonly kind: "session-closed" }
  | { readonly kind: "head-moved"; readonly headSeq: number };

/** What became of a session that was closed or deleted, and of its runs. */
export interface SessionEnded {
  /** As it is now; of a deleted one, as it was. */
  readonly session: SessionRow;
  /** Ends of runs that waited, those of child sessions included, and what closes the session. */
  readonly appended: readonly Appended[];
  /** What holders of active runs are to be told. */
  readonly commanded: readonly Commanded[];
}

/** A copy of a session's log up to a seq, as a session of its own. */
export interface SessionFork {
  readonly sessionId: string;
  /** The last seq to copy; 0 for the head. */
  readonly atSeq: number;
  readonly forkId: string;
  readonly logId: string;
  readonly key: string;
  /** Empty for the original's, as the title. */
  readonly agentId: string;
  readonly title: string;
  /** The most bytes of log that are copied in one change. */
  readonly maxBytes: number;
  /** RunFinished of a run that has not ended where the copy ends, encoded without server fields. */
  readonly ending: (run: OpenRun) => Uint8Array;
  /** SessionUpdated for what the copied events say of the session and is not so in the fork, encoded likewise. */
  readonly update: (session: SessionRow, fields: readonly ("title" | "state")[]) => Uint8Array;
}

export interface Forked {
  readonly session: SessionRow;
  /** What stands behind the copied events. */
  readonly appended: Appended;
}

export type ForkRefusal =
  | { readonly kind: "session-not-found" }
  | { readonly kind: "key-taken"; readonly sessionId: string }
  | {
      readonly kind: "seq-ahead" | "seq-trimmed";
      readonly logId: string;
      readonly oldestSeq: number;
      readonly headSeq: number;
    }
  /** The seq lies inside a merged delta, which can't be divided; these lie beside it. `beforeSeq` is 0 when none does. */
  | { readonly kind: "seq-merged"; readonly beforeSeq: number; readonly afterSeq: number }
  | { readonly kind: "log-too-large" };

/** What retention removed of one log. */
export interface TrimmedLog {
  readonly tenant: string;
  readonly sessionId: string;
  /** The first seq that is kept; one past the head when none is. */
  readonly oldestSeq: number;
  /** Numbers that are gone now and were there before. */
  readonly events: number;
  readonly bytes: number;
}

/** How many sessions a tenant has. */
export interface SessionCounts {
  readonly total: number;
  /** Of these, the ones that changed since the asked time. */
  readonly active: number;
}

/** A command that was stored just now; the holder of its run is still to be told. */
export interface Commanded {
  readonly run: RunRow;
  readonly command: RunCommandRow;
}

/** A wish that a run stop. It reaches the runs of the session's child sessions, too (R5). */
export interface CancelWish {
  readonly cancelledBy: string;
  readonly reason: string;
  /** An encoded atoll.session.v1.CancelCommand, for the holders of running runs. */
  readonly command: Uint8Array;
  /** RunFinished of a run that still waits, encoded without server fields. */
  readonly event: (run: RunRow) => Uint8Array;
}

/** How the run is made that answers what an ended run was steered with and never read. */
export interface FollowUp {
  readonly runId: string;
  /** Its RunQueued, encoded without server fields. */
  readonly event: (run: RunRow, position: number) => Uint8Array;
}

/** How a message enters its session (R3); what it does to a busy one. */
export type MessageEntry =
  /** A run of its own. */
  | { readonly kind: "followup" }
  /** The same, or a refusal when the session has a run that has not ended. */
  | { readonly kind: "reject" }
  /** The same, and the active run is asked to stop in the same change. */
  | { readonly kind: "interrupt"; readonly wish: CancelWish }
  /** The active run is told to read it; without one, or when that was asked to stop, a run of its own. */
  | { readonly kind: "steer"; readonly command: Uint8Array }
  /**
   * It joins the newest waiting run of its principal, agent and options that a collected message made, up to 100
   * messages, and makes that run as urgent as itself; else a run of its own that others may join.
   */
  | { readonly kind: "collect" };

export interface NewMessage {
  /** The session; a text for its id, or what is made with the message when no session has its key. */
  readonly to: string | NewSession;
  readonly messageId: string;
  readonly runId: string;
  /** The agent of the run; empty for the session's own. */
  readonly agentId: string;
  readonly priority: number;
  readonly options: Uint8Array;
  readonly traceId: string;
  /** Refuse when the head is another, 0 being that of an empty log; undefined for no check. */
  readonly ifHeadSeq: number | undefined;
  readonly entry: MessageEntry;
  /** Runs that may wait in a session. */
  readonly maxQueuedRuns: number;
  /** The title that a session without one takes; empty for none. */
  readonly title: string;
  /** Whether the session starts over with this message (see SessionRow.contextFloorSeq). */
  readonly isResetDue: (session: SessionRow, nowMs: number) => boolean;
  /**
   * MessageReceived first and RunQueued last, encoded without server fields; between them a SessionUpdated when the session is
   * titled or woken by this message, and one when it is reset.
   */
  readonly events: (context: MessageContext) => readonly Uint8Array[];
}

/** What became of a message, for its events. */
export interface MessageContext {
  /** The run that answers it: its own, the one that it steers, or the one that it joined. */
  readonly runId: string;
  /** Only a message that made a run has a RunQueued. */
  readonly entered: "queued" | "steered" | "joined";
  readonly position: number;
  readonly agentId: string;
  readonly isTitled: boolean;
  /** The session starts over: its floor is this seq, the head before the message. 0 when it goes on. */
  readonly resetFloorSeq: number;
  /** The session was idle. */
  readonly wakes: boolean;
}

export interface Submitted {
  readonly session: SessionRow;
  readonly messageId: string;
  /** The run that answers the message. */
  readonly run: RunRow;
  /** The seq of MessageReceived. */
  readonly seq: number;
  readonly appended: Appended;
  /** What holders are to be told: the steer, or the cancels of an interrupt, the active run's first. */
  readonly commanded: readonly Commanded[];
  /** Ends of waiting runs of child sessions that the interrupt reached. */
  readonly ended: readonly Appended[];
}

export type SubmitRefusal =
  | { readonly kind: "session-not-found" }
  | { readonly kind: "session-closed" }
  | { readonly kind: "session-busy"; readonly runId: string }
  | { readonly kind: "queue-full"; readonly limit: number }
  | { readonly kind: "head-moved"; readonly headSeq: number };

export interface ClaimInput {
  /** Which runs. Default: every one. */
  readonly reach?: RunsInReach;
  /** The most runs to claim. */
  readonly limit: number;
  /** RunStarted (attempt 1) or RunResumed, encoded without server fields. */
  readonly events: (run: RunRow) => readonly Uint8Array[];
}

/** A run that has just been taken: `run.epoch` and `run.attempt` are the new ones. */
export interface Claimed {
  readonly run: RunRow;
  readonly session: SessionRow;
  readonly appended: Appended;
}

/** How a run ends. */
export interface RunEnding {
  /** A number of atoll.event.v1.RunStatus. */
  readonly status: number;
  /** An encoded atoll.event.v1.RunFailure; empty when there is none. */
  readonly failure: Uint8Array;
  /** For what it was steered with and never read; unused when it read all. */
  readonly followUp: FollowUp;
}

/** A batch of a worker (L4). */
export interface WorkerBatch {
  readonly tenant: string;
  readonly sessionId: string;
  readonly runId: string;
  readonly epoch: number;
  readonly batchNo: number;
  /** Encoded without server fields. */
  readonly events: readonly Uint8Array[];
  /** Commands up to this one are closed with the batch; 0 for none. */
  readonly actedCommandId: number;
  /** Messages that steps of the batch read: the steers that brought them are closed with it, whatever was acted on. */
  readonly readMessageIds: readonly string[];
  /** The events of the batch that tell which calls are open (rules/open-calls.ts), decoded. */
  readonly callEvents: readonly Event[];
  /** Set when the batch ends the run; its last event is RunFinished. */
  readonly finish: RunEnding | undefined;
}

export type AppendOutcome =
  | {
      readonly kind: "appended";
      readonly firstSeq: number;
      readonly lastSeq: number;
      /** The batch's events, and the RunQueued of a follow-up behind its RunFinished. */
      readonly appended: Appended;
      readonly run: RunRow;
      /** The batch ended the run, and the session's next one waits to be claimed. */
      readonly freesNext: boolean;
    }
  /** The batch was committed before; here is its first answer. */
  | { readonly kind: "replayed"; readonly firstSeq: number; readonly lastSeq: number }
  /** A newer epoch owns the run. */
  | { readonly kind: "fenced"; readonly epoch: number }
  | { readonly kind: "finished" }
  | { readonly kind: "out-of-order"; readonly expectedBatchNo: number }
  | { readonly kind: "run-not-found" };

export type CancelOutcome =
  /** It waited and has its terminal event now. */
  | { readonly kind: "finished-now"; readonly run: RunRow; readonly appended: Appended }
  /** A worker has it; the wish is durable, and so it is for the runs of child sessions. */
  | {
      readonly kind: "requested";
      readonly run: RunRow;
      /** What holders are to be told, the run's own first; without it when an earlier wish stands. */
      readonly commanded: readonly Commanded[];
      /** Ends of waiting runs of child sessions. */
      readonly ended: readonly Appended[];
    }
  | { readonly kind: "already-finished"; readonly run: RunRow };
