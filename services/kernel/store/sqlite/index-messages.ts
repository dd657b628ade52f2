/**
 * Makes what the logs gained searchable, a bounded piece at a time.
 *
 * Keeps: words, the parts that go on and `searched_seq` change in one transaction, so that a piece that a crash cut off is
 * read again, and none twice. Keeps L7: one call reads a bounded number of events; sessions take turns, so that one whose
 * log can't be read holds up no other.
 */
import { SearchableText } from "../../event/searchable-text.ts";
import type { Indexing, SessionStore } from "../session-store.ts";
import type { SessionTables } from "./session-tables.ts";

export class MessageIndexing {
  private lastSessionNo = 0;

  /** See SessionStore.indexMessages; inside a transaction. */
  index(tables: SessionTables, { maxEvents, maxBytes }: Parameters<SessionStore["indexMessages"]>[0]): Indexing {
    let events = 0;
    let bytes = 0;
    let documents = 0;
    while (events < maxEvents && bytes < maxBytes) {
      const sessionNo = tables.search.findNext(this.lastSessionNo) ?? tables.search.findNext(0);
      if (sessionNo === undefined) return { events, documents, more: false };
      this.lastSessionNo = sessionNo;
      const session = tables.sessions.get(sessionNo);
      const { searchedSeq, headSeq } = session.row;
      const read = tables.events.read(session, {
        afterSeq: searchedSeq,
        throughSeq: headSeq,
        maxEvents: maxEvents - events,
        maxBytes: maxBytes - bytes,
      });
      const text = new SearchableText(tables.search.listParts(session));
      for (const event of read) {
        text.apply(event);
        bytes += event.bytes.length;
      }
      events += read.length;
      documents += text.documents.length;
      for (const document of text.documents) tables.search.insert(session, document);
      if (text.changedParts !== undefined) tables.search.saveParts(session, text.changedParts);
      tables.sessions.saveUnseen({ ...session, row: { ...session.row, searchedSeq: read.at(-1)?.seq ?? headSeq } });
    }
    return { events, documents, more: true };
  }
}
