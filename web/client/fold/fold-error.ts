/** What is wrong with an event that the fold refuses. The golden vectors name these in `expectError`. */
export type FoldProblem =
  /** The range is empty, begins at 0 or passes 2^53−1. */
  | "range"
  /** Events between the last one and this one are missing (S1). */
  | "gap"
  /** The range was applied before, and this is not a merged delta that follows a resume (S1, S2). */
  | "repeat"
  /** The delta begins past the known length of its block (S3). */
  | "offset"
  /** The delta begins inside a code point (S3). */
  | "border"
  /** The completed block has another length (S3). */
  | "length"
  /** The completed block has another checksum (S3). */
  | "checksum";

/** The log, or the way to it, broke one of its invariants: nothing of the event was applied. */
export class FoldError extends Error {
  override readonly name = "FoldError";
  readonly problem: FoldProblem;
  /** The last seq of the refused event; 0 when it has none. */
  readonly seq: number;

  constructor(problem: FoldProblem, seq: number, message: string) {
    super(message);
    this.problem = problem;
    this.seq = seq;
  }
}
