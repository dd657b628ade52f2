export type StoreProblem =
  | "read-only"
  | "disk-full"
  | "io-error"
  /** The disk did not confirm a write (fsync). It can't be tried again: the process must end (see StoreOptions). */
  | "sync-failed"
  | "busy"
  | "closed"
  | "corrupt"
  | "too-new";

/** The store can't commit or read now; nothing was changed. The driver's own words are in `cause`, never sent (L9). */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
  /** What is wrong, for people and metadata. */
  readonly problem: StoreProblem;

  /** `remedy` names the file and what to do; only errors of opening a store have one, for the person who starts it. */
  constructor(problem: StoreProblem, cause?: unknown, remedy?: string) {
    super(`the store is unavailable: ${problem}${remedy === undefined ? "" : ` (${remedy})`}`, { cause });
    this.problem = problem;
  }
}

/**
 * Stored events are not what was written; nobody is given them. Other sessions, and the other events of this one, can be
 * read. The message and `cause` are for the log.
 */
export class LogDamaged extends Error {
  override readonly name = "LogDamaged";
  readonly sessionId: string;
  /** The first event that can't be read. */
  readonly seq: number;
  /** What is wrong with it. */
  readonly problem: string;

  constructor(sessionId: string, seq: number, problem: string, cause?: unknown) {
    super(`event ${seq} of session ${sessionId} is damaged: ${problem}`, { cause });
    this.sessionId = sessionId;
    this.seq = seq;
    this.problem = problem;
  }
}

/** What the owner of a store wants to be told. */
export interface StoreOptions {
  /**
   * Called once, when the disk did not confirm a write (`sync-failed`): the system may have dropped the bytes and
   * forgotten that it did, so the process has to end, and the next one reads what is really there. Until then every change
   * is refused. Default: nobody is told.
   */
  readonly onBroken?: (error: StoreUnavailable) => void;
  /** Told what a person should know of, and what programs may want of it. Default: nobody is told. */
  readonly onWarning?: (facts: Readonly<Record<string, unknown>>, message: string) => void;
}

/** A page token that this store did not give. */
export class InvalidPageToken extends Error {
  override readonly name = "InvalidPageToken";
}
