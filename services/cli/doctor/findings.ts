/** What `atoll doctor` found. ✓ is only said of what was seen to work; what can't be known is a note. */

export type Verdict = "ok" | "note" | "wrong";

/** Says one thing in one line. `check` names what was looked at, for programs: `server`, `model`, `data`. */
export type Say = (check: string, verdict: Verdict, text: string) => void;
