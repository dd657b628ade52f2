/**
 * Follows one session's log: what is there after a cursor, then live.
 *
 * Keeps S1 and S2: what it yields is dense from the cursor on; only the first event may begin at or before it, and what
 * compaction merges with what was yielded already is cut (cut-delta.ts). Keeps L3: a hint is used only when it is contiguous with
 * what was yielded, else the log is read; on silence the log is read again, 500 ms after the last event and then less
 * and less often. Keeps L7: hints that wait are bounded; beyond the bound they are dropped and the log is read instead,
 * so a slow reader costs no memory and misses nothing.
 */
import type { Clock } from "../clock.ts";
import { cutDelta, readDeltaEnd } from "../event/cut-delta.ts";
import type { StoredEvent } from "../event/stored-event.ts";
import { Bell } from "./bell.ts";

/** A stretch of the log, and what is known of the whole. */
export interface LogSlice {
  readonly logId: string;
  readonly events: readonly StoredEvent[];
  readonly headSeq: number;
}

export interface TailSource {
  /** Events after a seq, in order; empty at the head. What it throws ends the tail. */
  read(afterSeq: number): Promise<LogSlice>;
  /**
   * Calls `listener` with what is committed from now on. `deliveredSeq` is what the feed had delivered already when
   * the listener joined; undefined when it does not know. What is at or below it must be read from the log.
   */
  subscribe(
    afterSeq: number,
    listener: (slice: LogSlice) => void,
  ): { readonly deliveredSeq: number | undefined; readonly unsubscribe: () => void };
}

export interface TailOptions {
  readonly source: TailSource;
  readonly afterSeq: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Milliseconds of silence after which a slice without events is yielded as a sign of life. Default 15 000. */
  readonly progressIntervalMs: number;
}

const maxPendingEvents = 256;
const maxPendingBytes = 1_048_576;
const firstHeadCheckMs = 500;
const slowestHeadCheckMs = 15_000;

/** Yields slices, each contiguous with the one before; ends when the signal aborts. */
export async function* tailLog(options: TailOptions): AsyncGenerator<LogSlice> {
  const { source, clock, signal } = options;
  let cursor = options.afterSeq;
  // Let go as soon as it is given out: a reader that waits for years must not hold the page that it began with.
  let first: LogSlice | undefined = await source.read(cursor);
  let { logId, headSeq } = first;
  let lastEvent = ownCopy(first.events.at(-1));
  const beganBehind = first.events.length > 0;
  cursor = lastSeq(first, cursor);
  // Also when there is nothing yet: the reader learns that it is connected.
  yield first;
  first = undefined;

  let pending: StoredEvent[] = [];
  let pendingBytes = 0;
  const bell = new Bell(clock);
  let behind = false;
  const onSlice = (slice: LogSlice): void => {
    headSeq = Math.max(headSeq, slice.headSeq);
    logId = slice.logId;
    // A hint without events: the log is another one, or gone. Reading it tells.
    if (slice.events.length === 0) behind = true;
    for (const event of slice.events) pendingBytes += event.bytes.length;
    pending.push(...slice.events);
    if (pending.length > maxPendingEvents || pendingBytes > maxPendingBytes) {
      pending = [];
      pendingBytes = 0;
      behind = true;
    }
    bell.ring();
  };
  const onAbort = (): void => bell.ring();
  signal.addEventListener("abort", onAbort, { once: true });
  const feed = source.subscribe(cursor, onSlice);
  behind = feed.deliveredSeq === undefined || feed.deliveredSeq > cursor || beganBehind;
  let checkMs = firstHeadCheckMs;
  let silentMs = 0;
  try {
    while (!signal.aborted) {
      const contiguous = takeContiguous(pending, cursor, lastEvent);
      if (contiguous.length > 0 || behind) {
        // Hints that fit are handed on first; a log that is to be read is read after them.
        const reads = contiguous.length === 0;
        if (reads) behind = false;
        const slice = reads
          ? continuing(await source.read(cursor), cursor, lastEvent)
          : { logId, events: contiguous, headSeq };
        pending = pending.filter((event) => event.seq > lastSeq(slice, cursor));
        pendingBytes = pending.reduce((sum, event) => sum + event.bytes.length, 0);
        if (slice.events.length > 0) {
          checkMs = firstHeadCheckMs;
          silentMs = 0;
          cursor = lastSeq(slice, cursor);
          lastEvent = ownCopy(slice.events.at(-1));
          headSeq = Math.max(headSeq, slice.headSeq, cursor);
          yield slice;
        }
        // A page that did not reach the head, or hints that begin further on: there is more to read.
        const isShort = slice.events.length > 0 && cursor < slice.headSeq;
        behind ||= isShort && takeContiguous(pending, cursor, lastEvent).length === 0;
        continue;
      }
      if (pending.length > 0) {
        behind = true;
        continue;
      }
      const waitMs = Math.min(checkMs, options.progressIntervalMs - silentMs);
      if ((await bell.wait(Math.max(0, waitMs))) === "rung") continue;
      silentMs += waitMs;
      behind = true;
      checkMs = Math.min(checkMs * 2, slowestHeadCheckMs);
      if (silentMs >= options.progressIntervalMs) {
        silentMs = 0;
        yield { logId, events: [], headSeq: cursor };
      }
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    feed.unsubscribe();
  }
}

/** The events of `pending` that follow the cursor without a gap; the very first may begin at or before it (S2). */
function takeContiguous(
  pending: readonly StoredEvent[],
  cursor: number,
  lastEvent: StoredEvent | undefined,
): StoredEvent[] {
  const taken: StoredEvent[] = [];
  let next = cursor;
  let last = lastEvent;
  for (const event of pending) {
    if (event.seq <= next) continue;
    if (event.firstSeq > next + 1) break;
    last = continued(event, next, last);
    taken.push(last);
    next = event.seq;
  }
  return taken;
}

/** A page that was read after `cursor`; only its first event may begin at or before that. */
function continuing(page: LogSlice, cursor: number, lastEvent: StoredEvent | undefined): LogSlice {
  const [first, ...rest] = page.events;
  if (first === undefined || first.firstSeq > cursor) return page;
  return { ...page, events: [continued(first, cursor, lastEvent), ...rest] };
}

/** What the event adds to the last one that was yielded. */
function continued(event: StoredEvent, afterSeq: number, last: StoredEvent | undefined): StoredEvent {
  return event.firstSeq > afterSeq || last === undefined ? event : cutDelta(event, afterSeq, readDeltaEnd(last));
}

/** Without the page that its bytes are a part of. */
function ownCopy(event: StoredEvent | undefined): StoredEvent | undefined {
  return event === undefined ? undefined : { ...event, bytes: event.bytes.slice() };
}

function lastSeq(slice: LogSlice, otherwise: number): number {
  return slice.events.at(-1)?.seq ?? otherwise;
}
