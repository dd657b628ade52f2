/**
 * The port behind which sessions, runs and logs live (L2).
 *
 * Contract, for every driver:
 * - A method that changes something is one atomic change: everything that it names is committed when its promise
 *   resolves (fsync), or nothing is.
 * - A refusal is a value, never an exception, changes nothing and never fails a neighbour in a group commit (L4).
 * - What throws is a `StoreUnavailable`: nothing was changed, and the caller may try again later. Reading events may also
 *   throw `LogDamaged`: what is stored is not what was written, and is never passed on.
 * - When the disk is full or fails, changes are refused until a probe has committed, and reading goes on. A probe writes
 *   64 KiB, which is more than a usual change, so that small changes do not go on where larger ones fail; it is tried with
 *   the next change, at most every 250 ms. A change that is larger still may fail after it, and the same begins anew. When
 *   the disk does not confirm a write, changes are refused for good and the owner is told (StoreOptions).
 * - Callbacks (`events`, `answer`) are called inside the transaction, must be pure and synchronous, and may be called
 *   more than once.
 * - `seq` is given inside the transaction that stores the event (S4); it is dense per session and starts at 1.
 * - An answer is stored with its change and returned again for the same request (R1), for at least 24 hours.
 */

import type { Appended } from "../../kernel/event/appended.ts";
import type { Scope } from "../../kernel/store/scope.ts";
import type {
  AppendOutcome,
  CancelOutcome,
  CancelWish,
  ChangeRefusal,
  Claimed,
  ClaimInput,
  Forked,
  ForkRefusal,
  NewMessage,
  NewSession,
  RunEnding,
  SessionChange,
  SessionChanged,
  SessionCounts,
  SessionEnded,
  SessionFork,
  SubmitRefusal,
  Submitted,
  WorkerBatch,
} from "./changes.ts";
import type { IndexPage, ListSessionsInput, LogPage, SessionPage } from "./pages.ts";
import type { Answered, Request } from "./request.ts";
import type { RunCommandRow, RunRow, SessionRow } from "./rows.ts";
import type { Compaction, Indexing, LogBounds, Trimming } from "./upkeep.ts";

export interface ListRunsInput {
  /** 1–500. */
  readonly pageSize: number;
  /** Empty for the first page. */
  readonly pageToken: string;
  /** Empty for every session. */
  readonly sessionId: string;
  /** Empty for every state. */
  readonly states: readonly RunRow["state"][];
  /** Empty for every agent. */
  readonly agentId: string;
}

export interface RunPage {
  readonly runs: readonly RunRow[];
  /** Empty on the last page. A page that looked at many runs has one, also when it found none. */
  readonly nextPageToken: string;
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
  /**
   * Entries of the tenant's index feed after a place, at most `limit`. Every change of what `listSessions` shows of a
   * session (it is created, changed, written to, closed, made idle) moves it to the feed's next place; a deleted one leaves
   * an entry. So a session is found once, at its newest, however often it changed since, and who takes a list and then
   * reads on from the place of its first page ends with what the list would be. Compaction is no change.
   */
  readIndex(
    scope: Pick<Scope, "tenant">,
    range: { readonly afterSeq: number /** 1–1 000. */; readonly limit: number },
  ): Promise<IndexPage>;

  /** Changes a session's own facts and appends what tells readers of it. A closed session stays as it is. */
  changeSession(
    scope: Scope,
    request: Request<SessionChanged>,
    change: SessionChange,
  ): Promise<Answered<SessionChanged> | ChangeRefusal>;
  /**
   * Ends the runs that wait, asks the active one to stop and, whether or not there is one, the runs of its child sessions
   * as `cancelRun` does, and closes the session, in one change. From then on it can be read, not written, but for the end of
   * its active run; the child sessions stay open. A closed one stays as it is and gets no event.
   */
  closeSession(
    scope: Scope,
    request: Request<SessionEnded>,
    closing: { readonly sessionId: string; readonly wish: CancelWish; readonly event: () => Uint8Array },
  ): Promise<Answered<SessionEnded> | { readonly kind: "session-not-found" }>;
  /**
   * Removes the session with its runs, log and all that was derived from it. Whether or not it has an active run, the runs
   * of its child sessions are asked to stop, as `cancelRun` does it; the child sessions stay. Its key is free again.
   */
  deleteSession(
    scope: Scope,
    request: Request<SessionEnded>,
    deletion: { readonly sessionId: string; readonly wish: CancelWish },
  ): Promise<Answered<SessionEnded> | { readonly kind: "session-not-found" }>;
  /**
   * Makes a session whose log begins with the events of another one up to a seq, closed or not: the same numbers and the
   * same bytes under a log id of its own, and behind them the outcomes of calls that have none there, the terminal events
   * of the runs that have not ended there (R2) and what the fork differs in. Agent, labels, profile and idle timeout are the original's of today; it has no parent
   * and no runs: the copied ones are history, and their rows stay the original's.
   */
  forkSession(scope: Scope, request: Request<Forked>, fork: SessionFork): Promise<Answered<Forked> | ForkRefusal>;
  /**
   * Makes active sessions idle that have no run and did not change for their idle timeout, or `defaultTimeoutMs`; all
   * tenants, at most `limit` in one change. `updatedAtMs` stays: nothing happened. Returns what was appended.
   */
  sweepIdle(sweep: {
    readonly defaultTimeoutMs: number;
    readonly limit: number;
    /** SessionUpdated, encoded without server fields. */
    readonly event: () => Uint8Array;
  }): Promise<readonly Appended[]>;
  countSessions(scope: Pick<Scope, "tenant">, since: { readonly activeSinceMs: number }): Promise<SessionCounts>;

  /** Dedupe, events and run row in one change (R1). */
  submitMessage(
    scope: Scope,
    request: Request<Submitted>,
    message: NewMessage,
  ): Promise<Answered<Submitted> | SubmitRefusal>;
  getRun(scope: Scope, runId: string): Promise<RunRow | undefined>;
  /**
   * Asks a run to stop. With a running one, the active and waiting runs of its session's child sessions are asked as well,
   * 8 generations deep, in the same change (R5). Reached are at most 1 000 sessions that have such a run, the nearest
   * generation first and of one parent the newest first; to find those below sessions that have none, at most 10 000
   * sessions are looked at.
   */
  cancelRun(
    scope: Scope,
    request: Request<CancelOutcome>,
    cancel: CancelWish & { readonly runId: string },
  ): Promise<Answered<CancelOutcome> | { readonly kind: "run-not-found" }>;
  /** The open commands of a run, in order; empty when there is no such run. */
  listCommands(run: { readonly tenant: string; readonly runId: string }): Promise<readonly RunCommandRow[]>;

  /** Takes waiting runs of sessions without an active run, urgent first, then in order of arrival; all tenants. */
  claimRuns(input: ClaimInput): Promise<readonly Claimed[]>;
  /** Takes a running run away from its holder: the same as a claim, when `epoch` is still the run's. */
  takeOverRun(
    run: { readonly tenant: string; readonly runId: string; readonly epoch: number },
    events: (run: RunRow) => readonly Uint8Array[],
  ): Promise<Claimed | undefined>;
  /**
   * Appends a worker's batch, all or nothing (L4), and closes the commands that it acted on. With the batch that ends the
   * run, one run is queued for all steer messages that are still open, and they move to it; and calls of the
   * run that the log leaves without an outcome get one in front of the terminal event (rules/open-calls.ts).
   */
  appendBatch(batch: WorkerBatch): Promise<AppendOutcome>;
  /**
   * Takes the next epoch and writes the terminal event itself, when `epoch` is still the run's (R2, R5), and in front of it
   * an outcome for each call that the log leaves without one (rules/open-calls.ts).
   */
  finishRun(
    run: { readonly tenant: string; readonly runId: string; readonly epoch: number },
    finish: RunEnding & { readonly event: (run: RunRow) => Uint8Array },
  ): Promise<{ readonly run: RunRow; readonly appended: Appended } | undefined>;
  /** Every run in state `running`, all tenants; read once at start to find the ones whose holder is gone. */
  listRunningRuns(): Promise<readonly RunRow[]>;
  /** Runs of a tenant, newest first. Errors: InvalidPageToken. */
  listRuns(scope: Pick<Scope, "tenant">, input: ListRunsInput): Promise<RunPage>;
  /** Runs that wait, of all tenants. */
  countQueuedRuns(): Promise<number>;

  /**
   * Events after `afterSeq`, in order, until `maxEvents` or `maxBytes` is reached (at least one event when there is one).
   * From before the oldest kept event, the first one is a HistoryTrimmed over all that is gone, 1..oldest−1 (S5).
   */
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

  /**
   * Merges adjacent deltas (S3) in windows of numbers that the head has passed, in one change; all tenants. Readers
   * notice nothing: what they get covers the same numbers.
   */
  compactLogs(bound: { readonly maxWindows: number }): Promise<Compaction>;

  /**
   * Removes the oldest events of logs where a bound says that they may go, in one change; all tenants. Never removed are
   * events of a run that has not ended, messages that it answers, and what comes behind any of these. Events go in the
   * pieces in which they are stored, at most a window of merged ones, so that a little more time and number may be kept
   * than was asked for, never less. `oldestSeq`, `logBytes`, `trimmedAtMs` and the words to be searched for follow; a session whose
   * events are all gone has an `oldestSeq` one past its head.
   *
   * @param trim.cursor Empty at first, then the one of the call before.
   * @param trim.maxRows The most stored pieces that are looked at; a log that has more is gone on with in the next call.
   */
  trimLogs(trim: {
    readonly bounds: LogBounds;
    readonly cursor: string;
    readonly maxSessions: number;
    readonly maxRows: number;
  }): Promise<Trimming>;
  /**
   * Makes what the logs gained searchable (`SessionRow.searchedSeq`), in one change; all tenants. A message can be found
   * at once then, the text that an agent answered once its run has ended: what was discarded until then is never found
   * (S8). Of each of them, the first 256 KiB count. Ends after `maxEvents` or `maxBytes`, at least one event.
   */
  indexMessages(bound: { readonly maxEvents: number; readonly maxBytes: number }): Promise<Indexing>;

  /** Removes stored answers that are older than `beforeMs`; returns how many. */
  sweepRequests(beforeMs: number): Promise<number>;
  /** Forgets sessions that were deleted before `beforeMs`; raises `IndexPlace.oldestSeq` over them. Returns how many. */
  sweepDeletedSessions(beforeMs: number): Promise<number>;
  /** Commits what was accepted and closes the files. */
  close(): Promise<void>;
}
