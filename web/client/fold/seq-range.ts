/**
 * Where an event stands in the sequence. Keeps S1 (`first_seq == seq + 1` proves that nothing is missing) and S2 (only
 * the first event after a resume may begin at or before the cursor).
 */
import type { Event } from "../../../gen/atoll/event/v1/event_pb.ts";
import { FoldError } from "./fold-error.ts";

export interface SeqRange {
  readonly first: number;
  readonly last: number;
}

/** Reads a seq, an offset or a length as a number. Throws FoldError "range" past 2^53−1. */
export function toNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new FoldError("range", 0, `${value} is more than 2^53−1`);
  return Number(value);
}

/** The closed range that an event covers. Throws FoldError "range". */
export function rangeOf(event: Event): SeqRange {
  const first = toNumber(event.firstSeq);
  const last = toNumber(event.seq);
  if (first < 1 || last < first) throw new FoldError("range", last, `the event covers ${first}..${last}`);
  return { first, last };
}

/** How a range follows the last applied seq. "overlap" ends after it but begins at or before it. */
export function placeRange(range: SeqRange, lastSeq: number): "next" | "gap" | "overlap" | "repeat" {
  if (range.first === lastSeq + 1) return "next";
  if (range.first > lastSeq) return "gap";
  return range.last > lastSeq ? "overlap" : "repeat";
}

/**
 * Whether an event may begin at or before the cursor after a resume: a merged delta, a range without a body, or a body
 * that this client does not know. Applying any of these again changes nothing.
 */
export function mayOverlap(event: Event): boolean {
  switch (event.body.case) {
    case "textDelta":
    case "thinkingDelta":
    case "omitted":
    case "logTruncated":
    case "historyTrimmed":
    case undefined:
      return true;
    default:
      return false;
  }
}
