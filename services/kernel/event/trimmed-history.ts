/**
 * Stands for what retention removed from a log.
 *
 * Keeps S1: it covers exactly the numbers that are gone, so that a log read from its beginning has no gap. Keeps S6: every
 * reader gets the same bytes.
 */
import { encodeEvent } from "./encode-event.ts";
import type { StoredEvent } from "./stored-event.ts";
import { encodeEventTime, stampEvent } from "./wire/stamp-event.ts";

/** HistoryTrimmed over 1..`throughSeq`; `trimmedAtMs` is milliseconds since 1970. */
export function trimmedHistory(throughSeq: number, trimmedAtMs: number): StoredEvent {
  const encoded = encodeEvent({ body: { case: "historyTrimmed", value: { count: BigInt(throughSeq) } } });
  return { firstSeq: 1, seq: throughSeq, bytes: stampEvent(encoded, 1, throughSeq, encodeEventTime(trimmedAtMs)) };
}
