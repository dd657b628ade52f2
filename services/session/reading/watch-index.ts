/**
 * A watcher of the tenant's index: which sessions there are and how they stand, so that a list stays live without asking
 * for it again.
 *
 * Keeps S6: the feed has a seq of its own, which rises and is not dense: a session is told once for all changes since the
 * last telling. Keeps S5: a cursor before a deletion that is forgotten, or of another feed, is OUT_OF_RANGE. Keeps L3: a
 * publish only wakes; on silence the feed is read 500 ms after the last change, and then less and less often. Keeps L7:
 * entries of a frame and their bytes are bounded, and however fast sessions change, the feed is read once in `windowMs`.
 */

import { SessionState } from "../../../gen/atoll/event/v1/log_events_pb.ts";
import {
  type IndexEntry as IndexEntryMessage,
  IndexEntrySchema,
  type WatchCreate,
} from "../../../gen/atoll/session/v1/watch_pb.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import type { Scope } from "../../kernel/store/scope.ts";
import { Bell } from "../../kernel/stream/bell.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { IndexPage } from "../store/pages.ts";
import type { IndexEntry } from "../store/rows.ts";
import { sessionStates } from "../store/session-states.ts";
import { countFitting } from "./fit-answer.ts";
import { checkCursor } from "./read-log.ts";
import { toListedSession } from "./session-message.ts";
import { createdFrame, progressFrame, type WatchFrame } from "./watch-log.ts";

/** Entries of a frame. */
const pageEntries = 500;
/** The least time between two reads of a reader that has caught up. */
const windowMs = 100;
const firstHeadCheckMs = 500;
const slowestHeadCheckMs = 15_000;

/** What one frame tells. */
interface Stretch extends Omit<IndexPage, "entries"> {
  readonly entries: IndexEntryMessage[];
  /** Whether there is nothing after it. */
  readonly reachesHead: boolean;
}

/** Ends when the signal aborts. Errors: FIELD_INVALID, LOG_REPLACED, CURSOR_AHEAD, HISTORY_TRIMMED. */
export async function* watchIndex(
  deps: SessionDeps,
  scope: Scope,
  watch: WatchCreate,
  signal: AbortSignal,
): AsyncGenerator<WatchFrame> {
  if (watch.filter !== undefined) throw invalid("create.filter", "the index has no bodies to filter: leave it out");
  const { watchId, cursor } = watch;
  const reader = new IndexReader(deps, scope, cursor?.logId ?? "", Number(cursor?.afterSeq ?? 0n));
  const bell = new Bell(deps.clock);
  const onAbort = (): void => bell.ring();
  signal.addEventListener("abort", onAbort, { once: true });
  const unsubscribe = deps.bus.subscribeIndex(scope.tenant, () => bell.ring());
  try {
    let stretch = await reader.read();
    yield createdFrame(watchId, { ...stretch, logId: stretch.feedId });
    let checkMs = firstHeadCheckMs;
    let silentMs = 0;
    while (!signal.aborted) {
      if (stretch.entries.length > 0) {
        checkMs = firstHeadCheckMs;
        silentMs = 0;
        yield entriesFrame(watchId, stretch);
      }
      if (stretch.reachesHead) {
        const { progressIntervalMs } = deps.settings;
        const waitMs = Math.max(0, Math.min(checkMs, progressIntervalMs - silentMs));
        if ((await bell.wait(waitMs)) === "silent") {
          silentMs += waitMs;
          checkMs = Math.min(checkMs * 2, slowestHeadCheckMs);
        } else await pause(deps, windowMs - reader.idleMs(), signal);
        if (signal.aborted) return;
        stretch = await reader.read();
        if (stretch.entries.length === 0 && silentMs >= progressIntervalMs) {
          silentMs = 0;
          yield progressFrame(watchId, reader.afterSeq);
        }
        continue;
      }
      stretch = await reader.read();
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    unsubscribe();
  }
}

/** Reads on from where it stands, and says when that can't be done. */
class IndexReader {
  afterSeq: number;
  readonly #deps: SessionDeps;
  readonly #scope: Scope;
  readonly #fromSeq: number;
  #feedId: string;
  /** Deletions up to here are none of a reader's that began without a list: it was told only of what was there later. */
  #wholeFromSeq: number | undefined;
  #readAtMs = 0;

  constructor(deps: SessionDeps, scope: Scope, feedId: string, afterSeq: number) {
    this.#deps = deps;
    this.#scope = scope;
    this.#feedId = feedId;
    this.#fromSeq = afterSeq;
    this.afterSeq = afterSeq;
  }

  /** Milliseconds since the last read. */
  idleMs(): number {
    return this.#deps.clock.monotonicMs() - this.#readAtMs;
  }

  async read(): Promise<Stretch> {
    this.#readAtMs = this.#deps.clock.monotonicMs();
    const page = await this.#deps.store.readIndex(this.#scope, { afterSeq: this.afterSeq, limit: pageEntries });
    const { feedId, headSeq, oldestSeq } = page;
    this.#wholeFromSeq ??= this.#fromSeq === 0 ? headSeq : 0;
    const stands = Math.max(this.afterSeq, this.#wholeFromSeq);
    checkCursor(
      { logId: feedId, headSeq, oldestSeq },
      { logId: this.#feedId, afterSeq: stands },
      "read the list again",
    );
    this.#feedId = feedId;
    const found = page.entries.map(toEntry);
    const entries = found.slice(0, countFitting(IndexEntrySchema, found));
    const reachesHead = found.length < pageEntries && entries.length === found.length;
    // What reaches the head does so whatever places on the way were left for later ones.
    this.afterSeq = reachesHead ? headSeq : Number(entries.at(-1)?.seq ?? headSeq);
    return { feedId, headSeq, oldestSeq, entries, reachesHead };
  }
}

/** Waits for `ms`, or until the watcher ends. */
async function pause({ clock }: SessionDeps, ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return;
  await clock.sleep(ms, signal).catch(() => undefined);
}

function entriesFrame(watchId: bigint, { entries, feedId, headSeq }: Stretch): WatchFrame {
  return {
    case: "index",
    value: {
      $typeName: "atoll.session.v1.IndexEntries",
      watchId,
      entries,
      logId: feedId,
      headSeq: BigInt(headSeq),
    },
  };
}

function toEntry(entry: IndexEntry): IndexEntryMessage {
  const $typeName = "atoll.session.v1.IndexEntry";
  const seq = BigInt(entry.seq);
  if (entry.kind === "deleted") {
    const nothing = { headSeq: 0n, state: SessionState.UNSPECIFIED, title: "", activeRunId: "" };
    return { $typeName, seq, sessionId: entry.sessionId, ...nothing, deleted: true };
  }
  const { session } = entry;
  const { sessionId, title, activeRunId } = session;
  return {
    ...{ $typeName, seq, sessionId, title, activeRunId, deleted: false },
    headSeq: BigInt(session.headSeq),
    state: sessionStates[session.state],
    session: toListedSession(session),
  };
}

function invalid(path: string, problem: string): Error {
  return failure(ErrorReason.FIELD_INVALID, `${path}: ${problem}`, { fields: [{ path, problem }] });
}
