/**
 * Merges what the head of a log has left behind, one aligned window of numbers at a time.
 *
 * Keeps S3: in a window's new rows, adjacent deltas of a block are one; nothing merges across a border, so whoever reads a
 * window gets the same bytes. Keeps S1: the rows cover exactly the window's numbers; a row over the border is split. Keeps
 * S4: a window is replaced in one transaction. Keeps L7: one call replaces a bounded number of windows, and a new row has a
 * bound, because whoever wants one event reads its whole row. What is merged was checked first and has a checksum of its
 * own; a damaged window is left as it is, for whoever wants to rescue it, up to the end of the row over its border, and is
 * named (L9).
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { mergeDeltas } from "../../../../kernel/event/merge-deltas.ts";
import type { StoredEvent } from "../../../../kernel/event/stored-event.ts";
import { LogDamaged } from "../../../../kernel/store/store-errors.ts";
import type { Compaction } from "../../upkeep.ts";
import type { StoredSession } from "../life/session-columns.ts";
import { windowSeqs } from "../life/session-places.ts";
import type { SessionRows } from "../life/session-rows.ts";
import type { EventRows } from "./event-rows.ts";

/** The most bytes of events in a new row, unless it has one event only. A usual window has much less and is one row. */
const maxRowBytes = 1_048_576;

export class LogCompaction {
  private readonly selectNext: StatementSync;

  constructor(database: DatabaseSync) {
    // The index sessions_to_compact holds only these.
    this.selectNext = database.prepare(
      "SELECT session_no AS sessionNo FROM sessions INDEXED BY sessions_to_compact WHERE to_compact = 1 LIMIT 1",
    );
  }

  /** See SessionStore.compactLogs; inside a transaction. */
  compact(tables: { readonly sessions: SessionRows; readonly events: EventRows }, maxWindows: number): Compaction {
    let windows = 0;
    let eventsBefore = 0;
    let eventsAfter = 0;
    const damaged: LogDamaged[] = [];
    while (windows < maxWindows) {
      const next = this.selectNext.get();
      if (next === undefined) break;
      let session = tables.sessions.get(Number(next.sessionNo));
      for (; windows < maxWindows && isDue(session); windows++) {
        const compacted = compactWindow(tables.events, session);
        session = compacted.session;
        eventsBefore += compacted.before;
        eventsAfter += compacted.after;
        if (compacted.damage !== undefined) damaged.push(compacted.damage);
      }
      tables.sessions.saveUnseen(session);
    }
    return { windows, eventsBefore, eventsAfter, damaged };
  }
}

function isDue({ row }: StoredSession): boolean {
  return row.headSeq - row.compactedSeq >= windowSeqs;
}

interface CompactedWindow {
  readonly session: StoredSession;
  readonly before: number;
  readonly after: number;
  readonly damage?: LogDamaged;
}

function compactWindow(events: EventRows, session: StoredSession): CompactedWindow {
  const firstSeq = session.row.compactedSeq + 1;
  const border = Math.ceil(firstSeq / windowSeqs) * windowSeqs;
  try {
    return mergeWindow(events, session, firstSeq, border);
  } catch (damage) {
    if (!(damage instanceof LogDamaged)) throw damage;
    // A row is never entered in its middle: what lies over the border stays with the window in which it begins.
    const compactedSeq = events.findRowEnd(session, border);
    return { session: { ...session, row: { ...session.row, compactedSeq } }, before: 0, after: 0, damage };
  }
}

function mergeWindow(events: EventRows, session: StoredSession, firstSeq: number, border: number): CompactedWindow {
  const found = events.readRows(session, firstSeq, border);
  const inside = found.filter((event) => event.firstSeq <= border);
  const merged = mergeDeltas(inside);
  const rest = found.slice(inside.length);
  // An event that covers the border belongs to the window in which it begins.
  const compactedSeq = Math.max(border, inside.at(-1)?.seq ?? border);
  const logBytes =
    session.row.logBytes + events.replaceRows(session, firstSeq, compactedSeq, [...cutRows(merged), rest]);
  return {
    session: { ...session, row: { ...session.row, compactedSeq, logBytes } },
    before: inside.length,
    after: merged.length,
  };
}

function cutRows(events: readonly StoredEvent[]): readonly (readonly StoredEvent[])[] {
  const rows: StoredEvent[][] = [];
  let bytes = 0;
  for (const event of events) {
    const row = rows.at(-1);
    if (row === undefined || bytes + event.bytes.length > maxRowBytes) {
      rows.push([event]);
      bytes = 0;
    } else {
      row.push(event);
    }
    bytes += event.bytes.length;
  }
  return rows;
}
