/**
 * Reads and writes what sessions are searched by: documents, their words, and the parts of answers that go on.
 *
 * Keeps: a document and its words are written and removed together; words are found only through their tenant. Only
 * words are kept of a document, never its text (an FTS5 table without content).
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { AnswerPart, SearchDocument } from "../../../../kernel/event/searchable-text.ts";
import { readSearchTerms } from "../../search-terms.ts";
import type { StoredSession } from "../life/session-columns.ts";

type Place = Pick<StoredSession, "tenantNo" | "sessionNo">;

export class SearchRows {
  private readonly selectNext: StatementSync;
  private readonly insertRow: StatementSync;
  private readonly insertWords: StatementSync;
  private readonly deleteWords: StatementSync;
  private readonly deleteRows: StatementSync;
  private readonly selectParts: StatementSync;
  private readonly insertPart: StatementSync;
  private readonly deleteParts: StatementSync;

  constructor(database: DatabaseSync) {
    // The index sessions_to_search holds only these.
    this.selectNext = database.prepare(`SELECT session_no AS sessionNo FROM sessions INDEXED BY sessions_to_search
      WHERE to_search = 1 AND session_no > ? ORDER BY session_no LIMIT 1`);
    // Without RETURNING: it would open a savepoint, at which FTS5 writes what it has gathered as a segment of its own.
    this.insertRow = database.prepare("INSERT INTO search_documents (tenant_no, session_no, seq) VALUES (?, ?, ?)");
    this.insertWords = database.prepare("INSERT INTO search_words (rowid, tenant, text) VALUES (?, ?, ?)");
    const before = "FROM search_documents WHERE tenant_no = ? AND session_no = ? AND seq < ?";
    this.deleteWords = database.prepare(`DELETE FROM search_words WHERE rowid IN (SELECT document_no ${before})`);
    this.deleteRows = database.prepare(`DELETE ${before}`);
    this.selectParts = database.prepare(`SELECT run_id AS runId, step, attempt, block_id AS blockId, text
      FROM answer_parts WHERE tenant_no = ? AND session_no = ? ORDER BY part_no`);
    this.insertPart = database.prepare(`INSERT INTO answer_parts
      (tenant_no, session_no, part_no, run_id, step, attempt, block_id, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`);
    this.deleteParts = database.prepare("DELETE FROM answer_parts WHERE tenant_no = ? AND session_no = ?");
  }

  /** The first session behind another one that has events which nobody has searched through. */
  findNext(afterSessionNo: number): number | undefined {
    const found = this.selectNext.get(afterSessionNo);
    return found === undefined ? undefined : Number(found.sessionNo);
  }

  insert({ tenantNo, sessionNo }: Place, { seq, text }: SearchDocument): void {
    const { lastInsertRowid } = this.insertRow.run(tenantNo, sessionNo, seq);
    this.insertWords.run(lastInsertRowid, tenantWord(tenantNo), text);
  }

  listParts({ tenantNo, sessionNo }: Place): AnswerPart[] {
    return this.selectParts.all(tenantNo, sessionNo) as unknown as AnswerPart[];
  }

  saveParts({ tenantNo, sessionNo }: Place, parts: readonly AnswerPart[]): void {
    this.deleteParts.run(tenantNo, sessionNo);
    for (const [partNo, { runId, step, attempt, blockId, text }] of parts.entries()) {
      this.insertPart.run(tenantNo, sessionNo, partNo, runId, step, attempt, blockId, text);
    }
  }

  /** What stands before a seq; the words of an answer stand where its run ended. */
  removeBefore({ tenantNo, sessionNo }: Place, seq: number): void {
    this.deleteWords.run(tenantNo, sessionNo, seq);
    this.deleteRows.run(tenantNo, sessionNo, seq);
  }

  /** Of a session that is deleted. */
  removeAllOf(session: Place): void {
    this.removeBefore(session, Number.MAX_SAFE_INTEGER);
    this.deleteParts.run(session.tenantNo, session.sessionNo);
  }
}

/**
 * An FTS5 expression for what a person typed, within a tenant; undefined when nothing is there to look for. Terms stand in
 * quotes and have none, so that nothing in them is syntax; what is no letter or digit separates words.
 */
export function matchExpression(tenantNo: number, query: string): string | undefined {
  const terms = readSearchTerms(query).map(({ words, isPrefix }) => `"${words}"${isPrefix ? " *" : ""}`);
  return terms.length === 0 ? undefined : `tenant : "${tenantWord(tenantNo)}" AND text : (${terms.join(" ")})`;
}

function tenantWord(tenantNo: number): string {
  return `t${tenantNo}`;
}
