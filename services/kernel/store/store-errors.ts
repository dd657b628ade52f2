/** The store can't commit or read now; nothing was changed. The driver's own words are in `cause`, never sent (L9). */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
  /** What is wrong, for people and metadata. */
  readonly problem: "read-only" | "disk-full" | "io-error" | "busy" | "closed" | "corrupt" | "too-new";

  /** `remedy` names the file and what to do; only errors of opening a store have one, for the person who starts it. */
  constructor(problem: StoreUnavailable["problem"], cause?: unknown, remedy?: string) {
    super(`the store is unavailable: ${problem}${remedy === undefined ? "" : ` (${remedy})`}`, { cause });
    this.problem = problem;
  }
}

/** A page token that this store did not give. */
export class InvalidPageToken extends Error {
  override readonly name = "InvalidPageToken";
}
