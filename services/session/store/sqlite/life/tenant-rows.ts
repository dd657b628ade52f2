/** Gives every tenant a small number, the first part of every key. Keeps L7: what is remembered is bounded. */
import type { DatabaseSync, StatementSync } from "node:sqlite";

const maxRememberedTenants = 10_000;

export class TenantRows {
  private readonly selectNo: StatementSync;
  private readonly insert: StatementSync;
  private readonly remembered = new Map<string, number>();

  constructor(database: DatabaseSync) {
    this.selectNo = database.prepare("SELECT tenant_no AS tenantNo FROM tenants WHERE tenant = ?");
    this.insert = database.prepare(
      "INSERT INTO tenants (tenant, index_id) VALUES (?, 'idx_' || lower(hex(randomblob(13))))",
    );
  }

  /** Undefined for a tenant that has stored nothing yet. */
  find(tenant: string): number | undefined {
    const known = this.remembered.get(tenant);
    if (known !== undefined) {
      return known;
    }
    const row = this.selectNo.get(tenant);
    return row === undefined ? undefined : this.remember(tenant, Number(row.tenantNo));
  }

  /** Inside a transaction only. */
  findOrInsert(tenant: string): number {
    return this.find(tenant) ?? this.remember(tenant, Number(this.insert.run(tenant).lastInsertRowid));
  }

  /** To be called after a rollback, which may have taken rows away that are remembered. */
  forget(): void {
    this.remembered.clear();
  }

  private remember(tenant: string, tenantNo: number): number {
    if (this.remembered.size >= maxRememberedTenants) {
      this.remembered.clear();
    }
    this.remembered.set(tenant, tenantNo);
    return tenantNo;
  }
}
