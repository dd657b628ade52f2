/**
 * Makes what the logs gained searchable, a bounded piece at a time.
 *
 * Keeps: words, the parts that go on and `searched_seq` change in one transaction, so that a piece that a crash cut off is
 * read again, and none twice. Keeps L7: one call reads a bounded number of events. Sessions take turns, and damage is stepped
 * over and named (L9), so that one log holds up no other: rows that can't be read, and events that can't be decoded.
 */
import { isSearchable, SearchableText } from "../../../../kernel/event/searchable-text.ts";
import type { StoredEvent } from "../../../../kernel/event/stored-event.ts";
import { LogDamaged } from "../../../../kernel/store/store-errors.ts";
import type { SessionStore } from "../../session-store.ts";
import type { Indexing } from "../../upkeep.ts";
import type { StoredSession } from "../life/session-columns.ts";
import { decodeEvent, type EventRows } from "../log/event-rows.ts";
import type { SessionTables } from "../session-tables.ts";

/** By so many numbers at once rows that can't be read are stepped over. */
const damagedSeqs = 256;

export class MessageIndexing {
  private lastSessionNo = 0;

  /** See SessionStore.indexMessages; inside a transaction. */
  index(tables: SessionTables, { maxEvents, maxBytes }: Parameters<SessionStore["indexMessages"]>[0]): Indexing {
    let events = 0;
    let bytes = 0;
    let documents = 0;
    const damaged: LogDamaged[] = [];
    while (events < maxEvents && bytes < maxBytes) {
      const sessionNo = tables.search.findNext(this.lastSessionNo) ?? tables.search.findNext(0);
      if (sessionNo === undefined) return { events, documents, more: false, damaged };
      this.lastSessionNo = sessionNo;
      const session = tables.sessions.get(sessionNo);
      const bound = { maxEvents: maxEvents - events, maxBytes: maxBytes - bytes };
      const { events: read, searchedSeq, damage } = readPiece(tables.events, session, bound);
      if (damage !== undefined) {
        damaged.push(damage);
        // As much as a call reads otherwise: a log that is damaged all over ends it, too.
        events += 1;
      }
      const text = new SearchableText(tables.search.listParts(session));
      damaged.push(...fold(text, read, session));
      for (const event of read) bytes += event.bytes.length;
      events += read.length;
      documents += text.documents.length;
      for (const document of text.documents) tables.search.insert(session, document);
      if (text.changedParts !== undefined) tables.search.saveParts(session, text.changedParts);
      tables.sessions.saveUnseen({ ...session, row: { ...session.row, searchedSeq } });
    }
    return { events, documents, more: true, damaged };
  }
}

interface Piece {
  readonly events: readonly StoredEvent[];
  readonly searchedSeq: number;
  readonly damage?: LogDamaged;
}

/** What follows in the log; in front of damage it ends, and damage itself is stepped over. */
function readPiece(
  events: EventRows,
  session: StoredSession,
  bound: { readonly maxEvents: number; readonly maxBytes: number },
): Piece {
  const { searchedSeq: afterSeq, headSeq } = session.row;
  const read = (throughSeq: number): Piece => {
    const found = events.read(session, { afterSeq, throughSeq, ...bound });
    return { events: found, searchedSeq: found.at(-1)?.seq ?? throughSeq };
  };
  try {
    return read(headSeq);
  } catch (damage) {
    if (!(damage instanceof LogDamaged)) throw damage;
    if (damage.seq > afterSeq + 1) return read(damage.seq - 1);
    return { events: [], searchedSeq: Math.min(headSeq, afterSeq + damagedSeqs), damage };
  }
}

/** Applies what can be decoded and gives what can't: a worker may have written it (the inside of a body is its word). */
function fold(text: SearchableText, events: readonly StoredEvent[], { row }: StoredSession): LogDamaged[] {
  const damaged: LogDamaged[] = [];
  for (const event of events.filter(isSearchable)) {
    try {
      text.apply(decodeEvent(event, row.sessionId));
    } catch (damage) {
      if (!(damage instanceof LogDamaged)) throw damage;
      damaged.push(damage);
    }
  }
  return damaged;
}
