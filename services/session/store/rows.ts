/** What is stored of sessions, runs and commands, as the store gives it out. */
/** Where a session is in its life. */
export type SessionState = "created" | "active" | "idle" | "closed";

/** A session as it is stored. Times are milliseconds since 1970. */
export interface SessionRow {
  readonly tenant: string;
  readonly sessionId: string;
  /** Empty when it has none; unique in the tenant otherwise. */
  readonly key: string;
  readonly agentId: string;
  readonly state: SessionState;
  readonly title: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly logId: string;
  /** 0 when the log is empty. */
  readonly headSeq: number;
  /** The first seq that is kept; 0 when the log is empty, one past the head when retention left nothing. */
  readonly oldestSeq: number;
  /** The run that a worker holds; empty when none. */
  readonly activeRunId: string;
  readonly queuedRuns: number;
  readonly parentSessionId: string;
  readonly createdBy: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** 0 before the first message. */
  readonly lastMessageAtMs: number;
  readonly messageCount: number;
  /** An encoded atoll.session.v1.Session with only reset_policy, preferences, variables and task; empty when unset. */
  readonly profile: Uint8Array;
  /** 0 for the mesh's own. */
  readonly idleTimeoutMs: number;
  /** Events up to this seq are not shown to the model any more; 0 when it was never reset. */
  readonly contextFloorSeq: number;
  /** Bytes of the kept events. */
  readonly logBytes: number;
  /** Adjacent deltas up to this seq were merged. */
  readonly compactedSeq: number;
  /** Messages, and answers that had ended, up to this seq can be found by their words. */
  readonly searchedSeq: number;
  /** Its place in the tenant's index feed: each change of the session takes the feed's next place. */
  readonly indexSeq: number;
  /** The session that its log began as a copy of; empty when it was not forked. */
  readonly forkedFromSessionId: string;
  /** The last seq that was copied. */
  readonly forkedAtSeq: number;
  /** When retention last removed events; 0 when it never did. */
  readonly trimmedAtMs: number;
  /** When its policy last made it start over, the newest last: at most 8 times, so that a clock that goes back repeats none. */
  readonly resetsAtMs: readonly number[];
}

/** Where a tenant's index feed stands. */
export interface IndexPlace {
  /** Changes only when the tenant's history was replaced; empty for a tenant that has stored nothing yet. */
  readonly feedId: string;
  /** The place of the newest change; 0 when there was none. */
  readonly headSeq: number;
  /** Who stands before `oldestSeq - 1` may have missed a deletion; at least 1. */
  readonly oldestSeq: number;
}

/** A session in the index feed, at the place of its last change, or what is left of a deleted one. */
export type IndexEntry =
  | { readonly kind: "session"; readonly seq: number; readonly session: SessionRow }
  | { readonly kind: "deleted"; readonly seq: number; readonly sessionId: string };

/** Where a run is. `parked` belongs to a later issue's approvals. */
export type RunState = "queued" | "running" | "finished";

/** A run as it is stored. Times are milliseconds since 1970, 0 when they have not come. */
export interface RunRow {
  readonly tenant: string;
  readonly runId: string;
  readonly sessionId: string;
  readonly agentId: string;
  readonly state: RunState;
  /** A number of atoll.event.v1.RunStatus; 0 until it has ended. */
  readonly status: number;
  /** An encoded atoll.event.v1.RunFailure; empty unless it failed. */
  readonly failure: Uint8Array;
  /** Fencing token (L4); 0 until a worker took it. */
  readonly epoch: number;
  /** How many times a worker took it up. */
  readonly attempt: number;
  /** The last batch of this epoch that was committed; 0 when none was. */
  readonly batchNo: number;
  /** 1 low – 4 urgent. */
  readonly priority: number;
  /** What it answers, in order of arrival: the message that made it, what was collected with it, what steered it. */
  readonly messageIds: readonly string[];
  /** Whether collected messages may join it while it waits (queue mode COLLECT). */
  readonly collects: boolean;
  /** An encoded atoll.session.v1.RunOptions. */
  readonly options: Uint8Array;
  readonly principal: string;
  readonly traceId: string;
  readonly queuedAtMs: number;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  readonly queuedSeq: number;
  /** The seq of its terminal event; 0 until there is one. */
  readonly finishedSeq: number;
  /** Who asked for it to stop; empty when nobody did. */
  readonly cancelledBy: string;
  readonly cancelReason: string;
}

/** Something that the holder of a run must do; a row until it is closed. */
export interface RunCommandRow {
  /** Rises in its run, from 1; a number is never used twice. */
  readonly commandId: number;
  readonly kind: "cancel" | "steer";
  /** An encoded atoll.session.v1.CancelCommand or SteerCommand. */
  readonly payload: Uint8Array;
  readonly createdAtMs: number;
}
