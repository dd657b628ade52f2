/**
 * The sessions that changed last, as they are stored: who appends to a session seldom has to read its row.
 *
 * Keeps: what is here is what the file holds. One process owns the file, every statement that writes sessions stands in
 * session-rows.ts and puts its outcome here, and a rollback forgets everything. Keeps L7: a bound, of about a kilobyte each.
 */
import type { StoredSession } from "./session-columns.ts";

const maxSessions = 4_096;

export class SessionCache {
  private readonly byNo = new Map<number, StoredSession>();
  private readonly byId = new Map<string, StoredSession>();
  /** Numbers of sessions that changed once: where more sessions take turns than fit, none of them is worth a place. */
  private readonly changedOnce = new Set<number>();

  /** Undefined when it is not here, which says nothing of the file. */
  findById(tenantNo: number, sessionId: string): StoredSession | undefined {
    const session = this.byId.get(sessionId);
    return session?.tenantNo === tenantNo ? session : undefined;
  }

  findByNo(sessionNo: number): StoredSession | undefined {
    return this.byNo.get(sessionNo);
  }

  /** For a session whose change was written. */
  put(session: StoredSession): void {
    const { sessionNo, row } = session;
    if (!this.byNo.has(sessionNo) && !this.admit(sessionNo)) return;
    this.byNo.set(sessionNo, session);
    this.byId.set(row.sessionId, session);
  }

  private admit(sessionNo: number): boolean {
    if (!this.changedOnce.delete(sessionNo)) {
      if (this.changedOnce.size >= maxSessions) this.changedOnce.clear();
      this.changedOnce.add(sessionNo);
      return false;
    }
    // All at once: those in use come in again, and to keep an order would cost each change.
    if (this.byNo.size >= maxSessions) this.forget();
    return true;
  }

  /** For a session that background work changed, which says nothing of its use. */
  replace(session: StoredSession): void {
    if (this.byNo.has(session.sessionNo)) this.put(session);
  }

  remove({ sessionNo, row }: StoredSession): void {
    this.byNo.delete(sessionNo);
    this.byId.delete(row.sessionId);
  }

  forget(): void {
    this.byNo.clear();
    this.byId.clear();
  }
}
