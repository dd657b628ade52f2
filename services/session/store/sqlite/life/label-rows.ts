/** Sessions by their labels, so that a list of few among many costs few. Keeps: the rows are those of the session's own column. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { SessionRow } from "../../rows.ts";
import type { StoredSession } from "./session-columns.ts";

export class LabelRows {
  private readonly insert: StatementSync;
  private readonly delete: StatementSync;

  constructor(database: DatabaseSync) {
    this.insert = database.prepare("INSERT OR IGNORE INTO session_labels VALUES (?, ?, ?, ?)");
    this.delete = database.prepare(
      "DELETE FROM session_labels WHERE tenant_no = ? AND name = ? AND value = ? AND session_no = ?",
    );
  }

  /** Writes the session's labels where `before` stood. */
  replace({ tenantNo, sessionNo, row }: StoredSession, before: SessionRow["labels"]): void {
    for (const [name, value] of Object.entries(before)) {
      if (row.labels[name] !== value) this.delete.run(tenantNo, name, value, sessionNo);
    }
    for (const [name, value] of Object.entries(row.labels)) {
      if (before[name] !== value) this.insert.run(tenantNo, name, value, sessionNo);
    }
  }

  remove({ tenantNo, sessionNo, stored }: StoredSession): void {
    for (const [name, value] of Object.entries(stored.labels)) this.delete.run(tenantNo, name, value, sessionNo);
  }
}
