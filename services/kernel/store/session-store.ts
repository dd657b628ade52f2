/**
 * The port behind which sessions, runs and logs live (L2).
 *
 * Contract, for every driver:
 * - A method that changes something is one atomic change: everything that it names is committed when its promise
 *   resolves (fsync), or nothing is.
 * - A refusal is a value, never an exception, changes nothing and never fails a neighbour in a group commit (L4).
 * - What throws is a `StoreUnavailable`: nothing was changed, and the caller may try again later.
 * - Callbacks (`events`, `answer`) are called inside the transaction, must be pure and synchronous, and may be called
 *   more than once.
 * - `seq` is given inside the transaction that stores the event (S4); it is dense per session and starts at 1.
 * - An answer is stored with its change and returned again for the same request (R1), for at least 24 hours.
 */
import type { StoredEvent } from "../event/stored-event.ts";
import type { Scope } from "./scope.ts";

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
  /** Messages up to this seq can be found by their words. */
  readonly searchedSeq: number;
  /** Its place in the tenant's index feed: rises with every change of any of the tenant's sessions. */
  readonly indexSeq: number;
}

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
  readonly messageIds: readonly string[];
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

/** A call that must happen once (R1). */
export interface Request<Outcome> {
  /** The RPC, for example `atoll.session.v1.SessionService/SubmitMessage`. */
  readonly method: string;
  /** 1–128 characters, chosen by the caller. The key is (tenant, principal, method, requestId). */
  readonly requestId: string;
  /** A digest of the call without its request id; another one under the same id is refused. */
  readonly digest: string;
  /** Encodes the answer that is stored with the change. */
  readonly answer: (outcome: Outcome) => Uint8Array;
}

/** The answer of a call that must happen once. */
export type Answered<Outcome> =
  | { readonly kind: "done"; readonly answer: Uint8Array; readonly outcome: Outcome }
  /** The same request came before; nothing was changed. */
  | { readonly kind: "replayed"; readonly answer: Uint8Array }
  /** The request id was used with another body. */
  | { readonly kind: "request-id-reused" };

/** Events that were committed, as the log has them. */
export interface Appended {
  readonly tenant: string;
  readonly sessionId: string;
  readonly logId: string;
  /** In order, dense; empty when the change had no events. */
  readonly events: readonly StoredEvent[];
  /** The head after them. */
  readonly headSeq: number;
}

export interface NewSession {
  readonly sessionId: string;
  readonly logId: string;
  readonly key: string;
  readonly agentId: string;
  readonly title: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly parentSessionId: string;
}

export interface NewMessage {
  readonly sessionId: string;
  readonly messageId: string;
  readonly runId: string;
  /** The agent of the run; empty for the session's own. */
  readonly agentId: string;
  readonly priority: number;
  readonly options: Uint8Array;
  readonly traceId: string;
  /** Refuse when the head is another; 0 for no check. */
  readonly ifHeadSeq: number;
  /** Refuse instead of waiting when the session has a run that has not ended (queue mode REJECT). */
  readonly rejectWhenBusy: boolean;
  /** Ask the active run to stop, in the same change (queue mode INTERRUPT). */
  readonly interrupt: boolean;
  /** Runs that may wait in a session. */
  readonly maxQueuedRuns: number;
  /** The title that a session without one takes; empty for none. */
  readonly title: string;
  /**
   * MessageReceived first and RunQueued last, encoded without server fields; SessionUpdated between them when the
   * session is titled by this message.
   */
  readonly events: (context: {
    readonly position: number;
    readonly agentId: string;
    readonly isTitled: boolean;
  }) => readonly Uint8Array[];
}

export interface Submitted {
  readonly session: SessionRow;
  readonly run: RunRow;
  /** The seq of MessageReceived. */
  readonly seq: number;
  readonly appended: Appended;
  /** The run that was asked to stop, when `interrupt` found one. */
  readonly interrupted: RunRow | undefined;
}

export type SubmitRefusal =
  | { readonly kind: "session-not-found" }
  | { readonly kind: "session-closed" }
  | { readonly kind: "session-busy"; readonly runId: string }
  | { readonly kind: "queue-full"; readonly limit: number }
  | { readonly kind: "head-moved"; readonly headSeq: number };

export interface ClaimInput {
  /** Runs of these agents; empty for every agent. */
  readonly agentIds: readonly string[];
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

/** A batch of a worker (L4). */
export interface WorkerBatch {
  readonly tenant: string;
  readonly sessionId: string;
  readonly runId: string;
  readonly epoch: number;
  readonly batchNo: number;
  /** Encoded without server fields. */
  readonly events: readonly Uint8Array[];
  /** Set when the batch ends the run; its last event is RunFinished. */
  readonly finish: { readonly status: number; readonly failure: Uint8Array } | undefined;
}

export type AppendOutcome =
  | {
      readonly kind: "appended";
      readonly firstSeq: number;
      readonly lastSeq: number;
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
  /** A worker has it; the wish is durable. */
  | { readonly kind: "requested"; readonly run: RunRow }
  | { readonly kind: "already-finished"; readonly run: RunRow };

/** A page of a log. */
export type LogPage =
  | {
      readonly kind: "page";
      readonly logId: string;
      /** Dense; the first may begin at or before the cursor, when it is a merged delta (S2). */
      readonly events: readonly StoredEvent[];
      readonly headSeq: number;
      readonly oldestSeq: number;
    }
  | { readonly kind: "session-not-found" };

export interface SessionPage {
  readonly sessions: readonly SessionRow[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

export interface ListSessionsInput {
  /** 1–500. */
  readonly pageSize: number;
  readonly pageToken: string;
  /** Empty for all. */
  readonly states: readonly SessionState[];
  readonly agentId: string;
  readonly order: "updated-desc" | "created-desc" | "created-asc";
}

export interface SessionStore {
  /** Creates the session, or finds the one that has the key. */
  createSession(
    scope: Scope,
    request: Request<{ session: SessionRow; created: boolean }>,
    session: NewSession,
  ): Promise<Answered<{ session: SessionRow; created: boolean }>>;
  getSession(
    scope: Scope,
    by: { readonly sessionId: string } | { readonly key: string },
  ): Promise<SessionRow | undefined>;
  /** Newest change first by default; the token is opaque. An unusable token throws `InvalidPageToken`. */
  listSessions(scope: Scope, input: ListSessionsInput): Promise<SessionPage>;

  /** Dedupe, events and run row in one change (R1). */
  submitMessage(
    scope: Scope,
    request: Request<Submitted>,
    message: NewMessage,
  ): Promise<Answered<Submitted> | SubmitRefusal>;
  getRun(scope: Scope, runId: string): Promise<RunRow | undefined>;
  /** Asks a run to stop; `event` is the RunFinished of a run that still waits, encoded without server fields. */
  cancelRun(
    scope: Scope,
    request: Request<CancelOutcome>,
    cancel: {
      readonly runId: string;
      readonly cancelledBy: string;
      readonly reason: string;
      readonly event: (run: RunRow) => Uint8Array;
    },
  ): Promise<Answered<CancelOutcome> | { readonly kind: "run-not-found" }>;

  /** Takes waiting runs of sessions without an active run, urgent first, then in order of arrival; all tenants. */
  claimRuns(input: ClaimInput): Promise<readonly Claimed[]>;
  /** Takes a running run away from its holder: the same as a claim, when `epoch` is still the run's. */
  takeOverRun(
    run: { readonly tenant: string; readonly runId: string; readonly epoch: number },
    events: (run: RunRow) => readonly Uint8Array[],
  ): Promise<Claimed | undefined>;
  /** Appends a worker's batch, all or nothing (L4). */
  appendBatch(batch: WorkerBatch): Promise<AppendOutcome>;
  /** Takes the next epoch and writes the terminal event itself, when `epoch` is still the run's (R2, R5). */
  finishRun(
    run: { readonly tenant: string; readonly runId: string; readonly epoch: number },
    finish: { readonly status: number; readonly failure: Uint8Array; readonly event: (run: RunRow) => Uint8Array },
  ): Promise<{ readonly run: RunRow; readonly appended: Appended } | undefined>;
  /** Every run in state `running`, all tenants; read once at start to find the ones whose holder is gone. */
  listRunningRuns(): Promise<readonly RunRow[]>;
  /** Whether a run waits that `claimRuns` could take. */
  countQueuedRuns(): Promise<number>;

  /** Events after `afterSeq`, in order, until `maxEvents` or `maxBytes` is reached (at least one event when there is one). */
  readEvents(
    scope: Pick<Scope, "tenant">,
    sessionId: string,
    range: {
      readonly afterSeq: number;
      readonly throughSeq?: number;
      readonly maxEvents: number;
      readonly maxBytes: number;
    },
  ): Promise<LogPage>;

  /** Removes stored answers that are older than `beforeMs`; returns how many. */
  sweepRequests(beforeMs: number): Promise<number>;
  /** Commits what was accepted and closes the files. */
  close(): Promise<void>;
}
