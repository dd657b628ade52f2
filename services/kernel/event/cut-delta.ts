/**
 * Cuts from a merged delta what its reader has already.
 *
 * Keeps S1 on a stream that compaction overtakes: a reader stands at a seq that was an event's end when it was read, and
 * finds it inside a merged delta afterwards (S3). What it read last tells at which byte the rest begins, so the rest is
 * an event of its own. Only the first event of a stream, before which nothing was read, begins where it begins (S2).
 */

import type { StoredEvent } from "./stored-event.ts";
import { encodeDelta, readDelta } from "./wire/read-delta.ts";

/** The byte of its block at which a delta's text ends; undefined for every other event. */
export function readDeltaEnd(event: StoredEvent): number | undefined {
  const delta = readDelta(event);
  return delta === undefined ? undefined : delta.offset + delta.text.length;
}

/**
 * What `event` says after `afterSeq` to a reader whose text of the block ends at `knownEnd` (see readDeltaEnd). The event
 * as it is when it begins after `afterSeq`, is no delta, or does not go on from there.
 */
export function cutDelta(event: StoredEvent, afterSeq: number, knownEnd: number | undefined): StoredEvent {
  if (event.firstSeq > afterSeq || knownEnd === undefined) return event;
  const delta = readDelta(event);
  if (delta === undefined) return event;
  const known = knownEnd - delta.offset;
  if (known < 0 || known > delta.text.length) return event;
  return encodeDelta({ ...delta, offset: knownEnd, text: delta.text.subarray(known) }, afterSeq + 1, event.seq);
}
