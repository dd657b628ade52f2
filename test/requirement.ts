/** An entry of the ledgers (requirements.ts, reports.ts): it holds, or work that is named will make it hold. */
export interface Holding {
  readonly status: "holds";
  readonly statement: string;
}

export interface Later {
  readonly status: "later";
  readonly statement: string;
  /** The work that will make it hold. */
  readonly issue: string;
}

export type Requirement = Holding | Later;
