/**
 * Gives the logs of a store that went back new names, so that no cursor of the history that is gone is served this one (S5),
 * and writes down how far the store comes from now on.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { IndexRows } from "../finding/index-rows.ts";
import { type Heads, HeadWitness } from "./head-witness.ts";

type Warn = (facts: Readonly<Record<string, unknown>>, message: string) => void;

/** How far the witness may be behind. */
const writeEveryMs = 1_000;

export class ReplacedLogs {
  private readonly index: IndexRows;
  private readonly witness: HeadWitness;
  private readonly selectTenants: StatementSync;
  private readonly warn: Warn;
  private readonly heads: Record<string, number> = {};
  private timer: NodeJS.Timeout | undefined;

  /** Looks at once, and says so when logs have new names. */
  constructor(dataDir: string, database: DatabaseSync, index: IndexRows, warn: Warn) {
    this.index = index;
    this.warn = warn;
    this.witness = new HeadWitness(dataDir);
    this.selectTenants = database.prepare("SELECT tenant_no AS tenantNo, tenant FROM tenants");
    for (const { tenantNo, tenant } of this.listTenants()) this.heads[tenant] = index.headOf(tenantNo);
    const behind = this.witness.tenantsBehind(this.heads);
    if (behind.length > 0) {
      const sessions = renameLogs(database, behind);
      warn({ sessions }, "the store is older than it was, or a copy: its logs have new ids, and readers begin anew");
    }
    this.write();
    this.timer = setInterval(() => {
      if (this.index.takeChanged()) this.write();
    }, writeEveryMs);
    // It keeps no process alive: closing writes what is left.
    this.timer.unref();
  }

  /** Before the database is closed. */
  close(): void {
    clearInterval(this.timer);
    if (this.timer !== undefined) this.write();
    this.timer = undefined;
  }

  private write(): void {
    try {
      for (const { tenantNo, tenant } of this.listTenants()) this.heads[tenant] = this.index.headOf(tenantNo);
      this.witness.write(this.heads satisfies Heads);
    } catch (error) {
      // A full disk stops the store by itself; a witness that is behind notices less.
      this.warn({ error: String(error) }, "how far the store has come can't be written beside it; tried again");
    }
  }

  private listTenants(): { readonly tenantNo: number; readonly tenant: string }[] {
    return this.selectTenants.all() as unknown as { tenantNo: number; tenant: string }[];
  }
}

/** Sessions with a new log id, and their tenants with a new index feed. */
function renameLogs(database: DatabaseSync, tenants: readonly string[]): number {
  const names = JSON.stringify(tenants);
  const these = "IN (SELECT tenant_no FROM tenants WHERE tenant IN (SELECT value FROM json_each(?)))";
  database.exec("BEGIN IMMEDIATE");
  try {
    const { changes } = database
      .prepare(`UPDATE sessions SET log_id = 'log_' || upper(hex(randomblob(13))) WHERE tenant_no ${these}`)
      .run(names);
    database
      .prepare(`UPDATE tenants SET index_id = 'idx_' || lower(hex(randomblob(13))) WHERE tenant_no ${these}`)
      .run(names);
    database.exec("COMMIT");
    return Number(changes);
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}
