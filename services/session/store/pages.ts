/** What is read of a session store, a page at a time. */
import type { StoredEvent } from "../../kernel/event/stored-event.ts";
import type { IndexEntry, IndexPlace, SessionRow, SessionState } from "./rows.ts";

/** A page of a log. */
export type LogPage =
  | {
      readonly kind: "page";
      readonly logId: string;
      /** Dense; the first may begin at or before the cursor, when it is a merged delta (S2). */
      readonly events: readonly StoredEvent[];
      readonly headSeq: number;
      readonly oldestSeq: number;
    }
  | { readonly kind: "session-not-found" };

export interface SessionPage {
  readonly sessions: readonly SessionRow[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
  /** Where the index feed stood when the page was read. */
  readonly index: IndexPlace;
}

/** A page of the index feed, and where the feed stood when it was read. */
export interface IndexPage extends IndexPlace {
  /** In order of their places. */
  readonly entries: readonly IndexEntry[];
}

export interface ListSessionsInput {
  /** 1–500. */
  readonly pageSize: number;
  readonly pageToken: string;
  /** Empty for all. */
  readonly states: readonly SessionState[];
  readonly agentId: string;
  /** All of them; empty for any. */
  readonly labels: Readonly<Record<string, string>>;
  /** Children of this session; empty for any. */
  readonly parentSessionId: string;
  /**
   * What a person typed, any string, at most 256 characters; empty for no search. Found are sessions with a message, or
   * an answer of one run, that has all the words and "quoted phrases", without regard to case and diacritics; the last
   * word may be the beginning of one. A query without a letter or digit finds nothing. How new events get searchable:
   * `indexMessages`.
   */
  readonly query: string;
  readonly order: "updated-desc" | "created-desc" | "created-asc";
}
