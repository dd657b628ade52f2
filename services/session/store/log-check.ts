/** What a check of stored logs says, without any process that serves them. */

export interface LogFinding {
  /** Empty, with `sessionId`, when it belongs to the whole store. */
  readonly tenant: string;
  readonly sessionId: string;
  /** The first bad event; 0 when the events are sound and what is stored beside them is not. */
  readonly seq: number;
  readonly problem: string;
}

export type LogCheck =
  /** There is no store; nothing was made. */
  | { readonly kind: "absent" }
  /** A process has it open, so it can't be read now. */
  | { readonly kind: "in-use" }
  /** No log could be looked at; `problem` says why and what to do. */
  | { readonly kind: "unreadable"; readonly problem: string }
  | {
      readonly kind: "checked";
      readonly sessions: number;
      readonly events: number;
      /** At most one a session, and at most 100. */
      readonly findings: readonly LogFinding[];
      /** Findings beyond these. */
      readonly more: number;
    };
