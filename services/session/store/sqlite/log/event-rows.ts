/**
 * Reads and writes a session's log: one packed row for each committed batch.
 *
 * Keeps:
 * - S1, S4: `seq` is given here, inside the transaction, from the head that the same transaction stores.
 * - A row whose checksum or numbers do not fit is never passed on: reading it throws `LogDamaged`. So does reading a row
 *   that SQLite finds broken (SQLITE_CORRUPT): it is the damage of one log, and the others can be read.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { type Event, EventSchema } from "../../../../../gen/atoll/event/v1/event_pb.ts";
import type { Appended } from "../../../../kernel/event/appended.ts";
import type { StoredEvent } from "../../../../kernel/event/stored-event.ts";
import { packEvents, packStamped, unpackEvents } from "../../../../kernel/event/wire/event-batch.ts";
import { isCorrupt } from "../../../../kernel/store/sqlite/sqlite-errors.ts";
import { LogDamaged } from "../../../../kernel/store/store-errors.ts";
import type { StoredSession } from "../life/session-columns.ts";
import { BrokenRows } from "./broken-rows.ts";

/** Which part of a log to read. */
export interface LogRange {
  readonly afterSeq: number;
  readonly throughSeq: number;
  readonly maxEvents: number;
  readonly maxBytes: number;
}

/** A row as it is stored. */
export interface EventRow {
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly crc32: number;
  readonly events: Uint8Array;
}

/** A stored row that was not unpacked yet. */
export interface StoredRow {
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Its size. */
  readonly bytes: number;
  /** Throws `LogDamaged`. */
  readonly events: () => readonly StoredEvent[];
}

// Begins with the row that holds the wanted seq, which may begin before it.
const selectFromSql = `SELECT first_seq AS firstSeq, last_seq AS lastSeq, crc32, events FROM event_rows
  WHERE tenant_no = :tenantNo AND session_no = :sessionNo AND first_seq <= :throughSeq AND first_seq >= coalesce(
    (SELECT max(first_seq) FROM event_rows
      WHERE tenant_no = :tenantNo AND session_no = :sessionNo AND first_seq <= :fromSeq), 0)
  ORDER BY first_seq`;

export class EventRows {
  private readonly insertRow: StatementSync;
  private readonly broken = new BrokenRows();
  private readonly database: DatabaseSync;
  private selectFrom: StatementSync;
  private readonly deleteRange: StatementSync;
  private readonly deleteLog: StatementSync;
  private readonly selectNextSeq: StatementSync;
  private readonly copyRows: StatementSync;
  private readonly sumThrough: StatementSync;

  constructor(database: DatabaseSync) {
    this.database = database;
    this.insertRow = database.prepare(
      "INSERT INTO event_rows (tenant_no, session_no, first_seq, last_seq, crc32, events) VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.selectFrom = database.prepare(selectFromSql);
    this.selectNextSeq = database.prepare(
      "SELECT min(first_seq) AS nextSeq FROM event_rows WHERE tenant_no = ? AND session_no = ? AND first_seq > ?",
    );
    this.copyRows = database.prepare(`INSERT INTO event_rows
      (tenant_no, session_no, first_seq, last_seq, crc32, events)
      SELECT tenant_no, :copyNo, first_seq, last_seq, crc32, events FROM event_rows
      WHERE tenant_no = :tenantNo AND session_no = :sessionNo AND first_seq <= :throughSeq AND last_seq <= :throughSeq
      ORDER BY first_seq`);
    this.sumThrough = database.prepare(`SELECT coalesce(sum(length(events)), 0) AS bytes, max(last_seq) AS lastSeq
      FROM event_rows WHERE tenant_no = ? AND session_no = ? AND first_seq <= ?`);
    this.deleteLog = database.prepare("DELETE FROM event_rows WHERE tenant_no = ? AND session_no = ?");
    this.deleteRange = database.prepare(`DELETE FROM event_rows
      WHERE tenant_no = ? AND session_no = ? AND first_seq >= ? AND first_seq <= ?
      RETURNING length(events) AS bytes`);
  }

  /** How many rows SQLite found broken so far. */
  get brokenRows(): number {
    return this.broken.size;
  }

  /** Appends encoded events; the session that is returned has the new head and is not saved yet. */
  append(session: StoredSession, encoded: readonly Uint8Array[], nowMs: number): [StoredSession, Appended] {
    const { row } = session;
    const { events, packed } = packStamped(encoded, row.headSeq, nowMs);
    const headSeq = row.headSeq + events.length;
    if (headSeq > row.headSeq) this.insertPacked(session, row.headSeq + 1, headSeq, packed);
    const logBytes = row.logBytes + packed.length;
    const oldestSeq = headSeq === 0 ? 0 : Math.max(row.oldestSeq, 1);
    return [
      { ...session, row: { ...row, headSeq, oldestSeq, logBytes, updatedAtMs: nowMs } },
      { tenant: row.tenant, sessionId: row.sessionId, logId: row.logId, events, headSeq },
    ];
  }

  /** All events of the rows that hold a number of the range, which may reach past its end; the first row begins it. */
  readRows(session: StoredSession, fromSeq: number, throughSeq: number): StoredEvent[] {
    const { sessionId } = session.row;
    const rows = [...this.select(session, fromSeq, throughSeq)];
    const found = rows.flatMap((each) => unpackRow(each, sessionId));
    let next = fromSeq;
    for (const { firstSeq, seq } of found) {
      if (firstSeq !== next) {
        throw new LogDamaged(sessionId, next, `event ${firstSeq} stands in its place`);
      }
      next = seq + 1;
    }
    return found;
  }

  /** Puts other rows in the place of the ones that begin in the range; returns by how many bytes the log grew. */
  replaceRows(
    session: StoredSession,
    fromSeq: number,
    throughSeq: number,
    rows: readonly (readonly StoredEvent[])[],
  ): number {
    let grown = 0;
    for (const removed of this.deleteRange.all(session.tenantNo, session.sessionNo, fromSeq, throughSeq)) {
      grown -= Number(removed.bytes);
    }
    for (const events of rows) {
      grown += this.insert(session, events);
    }
    return grown;
  }

  /** Rows in order, from the one that holds `fromSeq`; nothing may be written while they are read. */
  *iterateRows(session: StoredSession, fromSeq: number): Generator<StoredRow> {
    const { sessionId, headSeq } = session.row;
    for (const stored of this.select(session, fromSeq, headSeq)) {
      const { firstSeq, lastSeq, events } = stored;
      yield { firstSeq, lastSeq, bytes: events.length, events: () => unpackRow(stored, sessionId) };
    }
  }

  /** The last seq before the next row that begins behind a seq; the head when there is none. Reads no row, only the index. */
  findRowEnd({ tenantNo, sessionNo, row }: StoredSession, seq: number): number {
    const { nextSeq } = this.selectNextSeq.get(tenantNo, sessionNo, seq) ?? {};
    return typeof nextSeq === "number" ? nextSeq - 1 : row.headSeq;
  }

  /** Bytes of the rows that begin at or before a seq. */
  measure({ tenantNo, sessionNo }: StoredSession, throughSeq: number): number {
    return Number(this.sumThrough.get(tenantNo, sessionNo, throughSeq)?.bytes);
  }

  /** Copies the events up to a seq, which must be the last one of its event, into an empty log; returns their bytes. */
  copy(from: StoredSession, to: StoredSession, throughSeq: number): number {
    const { tenantNo, sessionNo } = from;
    this.copyRows.run({ tenantNo, sessionNo, copyNo: to.sessionNo, throughSeq });
    const { bytes, lastSeq } = this.sumThrough.get(tenantNo, to.sessionNo, throughSeq) ?? {};
    // The last row may go on behind the seq.
    const afterSeq = Number(lastSeq ?? Math.max(0, from.row.oldestSeq - 1));
    if (afterSeq >= throughSeq) return Number(bytes);
    const rest = this.read(from, { afterSeq, throughSeq, maxEvents: throughSeq, maxBytes: Number.MAX_SAFE_INTEGER });
    return Number(bytes) + this.insert(to, rest);
  }

  /** The whole log of a session that is deleted. */
  removeAllOf({ tenantNo, sessionNo }: StoredSession): void {
    this.deleteLog.run(tenantNo, sessionNo);
  }

  /** Stores events as one row; returns its bytes. */
  private insert(session: StoredSession, events: readonly StoredEvent[]): number {
    const [first] = events;
    const last = events.at(-1);
    if (first === undefined || last === undefined) {
      return 0;
    }
    const packed = packEvents(events);
    this.insertPacked(session, first.firstSeq, last.seq, packed);
    return packed.length;
  }

  private insertPacked(
    { tenantNo, sessionNo }: StoredSession,
    firstSeq: number,
    lastSeq: number,
    packed: Uint8Array,
  ): void {
    this.insertRow.run(tenantNo, sessionNo, firstSeq, lastSeq, crc32(packed), packed);
  }

  /** Reads until a bound is reached; at least one event when there is one. */
  read(stored: StoredSession, range: LogRange): StoredEvent[] {
    const session = stored.row;
    const found: StoredEvent[] = [];
    let before = Math.max(range.afterSeq, session.oldestSeq - 1);
    let bytes = 0;
    for (const row of this.select(stored, range.afterSeq + 1, range.throughSeq)) {
      for (const event of unpackRow(row, session.sessionId)) {
        if (event.seq <= range.afterSeq) {
          continue;
        }
        bytes += event.bytes.length;
        const full = found.length >= range.maxEvents || bytes > range.maxBytes;
        if (event.firstSeq > range.throughSeq || (full && found.length > 0)) {
          return found;
        }
        // Only the first event may begin earlier (S2).
        if (found.length === 0 ? event.firstSeq > before + 1 : event.firstSeq !== before + 1) {
          throw new LogDamaged(session.sessionId, before + 1, `event ${event.firstSeq} stands in its place`);
        }
        before = event.seq;
        found.push(event);
      }
    }
    const lastSeq = Math.min(range.throughSeq, session.headSeq);
    if (before < lastSeq) {
      throw new LogDamaged(session.sessionId, before + 1, `the events up to ${lastSeq} are missing`);
    }
    return found;
  }

  /**
   * The rows that hold a number of the range, in order, as they are stored. What is broken throws `LogDamaged`; the first
   * time inside a transaction, which can't be committed any more, it throws what SQLite says (see broken-rows.ts).
   */
  private *select(
    { tenantNo, sessionNo, row: { sessionId, logId } }: StoredSession,
    fromSeq: number,
    throughSeq: number,
  ): Generator<EventRow> {
    const brokenSeq = this.broken.findFrom(logId, fromSeq) ?? Number.POSITIVE_INFINITY;
    const soundSeq = Math.min(throughSeq, brokenSeq - 1);
    let next = fromSeq;
    try {
      if (brokenSeq > fromSeq) {
        for (const found of this.selectFrom.iterate({ tenantNo, sessionNo, fromSeq, throughSeq: soundSeq })) {
          const row = found as unknown as EventRow;
          yield row;
          next = row.lastSeq + 1;
        }
      }
    } catch (error) {
      // A statement that failed would fail again, for whoever uses it next.
      this.selectFrom = this.database.prepare(selectFromSql);
      if (!isCorrupt(error)) throw error;
      this.broken.add(logId, next);
      throw this.database.isTransaction ? error : unreadable(sessionId, next, error);
    }
    if (brokenSeq <= throughSeq) throw unreadable(sessionId, brokenSeq);
  }
}

function unreadable(sessionId: string, seq: number, cause?: unknown): LogDamaged {
  return new LogDamaged(sessionId, seq, "SQLite can't read its row", cause);
}

/** The event, decoded. Throws `LogDamaged`. */
export function decodeEvent({ firstSeq, bytes }: StoredEvent, sessionId: string): Event {
  try {
    return fromBinary(EventSchema, bytes);
  } catch (error) {
    throw new LogDamaged(sessionId, firstSeq, "it can't be decoded", error);
  }
}

/** The events of a row, when its checksum and its numbers fit. Throws `LogDamaged`. */
export function unpackRow(row: EventRow, sessionId: string): StoredEvent[] {
  const { firstSeq, lastSeq } = row;
  if (crc32(row.events) !== row.crc32) {
    throw new LogDamaged(sessionId, firstSeq, `the checksum of events ${firstSeq}..${lastSeq} does not fit`);
  }
  const events = unpack(row, sessionId);
  if (events[0]?.firstSeq !== firstSeq || events.at(-1)?.seq !== lastSeq) {
    throw new LogDamaged(sessionId, firstSeq, `the row of events ${firstSeq}..${lastSeq} holds others`);
  }
  return events;
}

function unpack(row: EventRow, sessionId: string): StoredEvent[] {
  try {
    return unpackEvents(row.events);
  } catch (error) {
    throw new LogDamaged(sessionId, row.firstSeq, `the row of events up to ${row.lastSeq} holds no events`, error);
  }
}
