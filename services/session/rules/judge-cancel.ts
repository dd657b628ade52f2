/** Keeps R2 and R5: what a wish to cancel does to a run. Pure. */
import type { RunState } from "../store/rows.ts";

/** A session's subagents are cancelled with it down to this depth. */
export const maxCancelDepth = 8;
/** The most child sessions with something to stop that one cancel reaches. */
export const maxCancelledSessions = 1_000;
/** The most child sessions that one cancel looks at to find those below them, whatever they do. */
export const maxSearchedSessions = 10_000;

export type CancelVerdict =
  /** Nobody works on it: it has its terminal event at once. */
  | "finish"
  /** Its holder is told. */
  | "command"
  /** Its holder was told before; the first wish stands. */
  | "told"
  | "ended";

export function judgeCancel(run: { readonly state: RunState; readonly cancelledBy: string }): CancelVerdict {
  switch (run.state) {
    case "queued":
      return "finish";
    case "running":
      return run.cancelledBy === "" ? "command" : "told";
    case "finished":
      return "ended";
  }
}
