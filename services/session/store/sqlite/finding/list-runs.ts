/**
 * Lists runs, newest first: a tenant's by their ids, which rise with time; a session's along its chain.
 *
 * Keeps L7: a page looks at 10 000 runs at most, however few of them are asked for, and then says where the next one begins.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { InvalidPageToken } from "../../../../kernel/store/store-errors.ts";
import type { ListRunsInput, RunPage } from "../../session-store.ts";
import type { StoredSession } from "../life/session-columns.ts";
import { runNosOfSession, selectRuns, toStoredRun } from "../runs/run-columns.ts";

const maxLookedAt = 10_000;
const maxPageSize = 500;

export class RunLists {
  private readonly ofTenant: StatementSync;
  private readonly ofSession: StatementSync;

  constructor(database: DatabaseSync) {
    this.ofTenant = selectRuns(
      database,
      "WHERE r.tenant_no = ? AND r.run_id < ? ORDER BY r.run_id DESC LIMIT ?",
      "INDEXED BY runs_by_id",
    );
    this.ofSession = selectRuns(
      database,
      `WHERE r.run_no IN (${runNosOfSession}) AND r.run_id < ? ORDER BY r.run_id DESC LIMIT ?`,
    );
  }

  /** See SessionStore.listRuns. @param session Undefined for all of the tenant. */
  list(tenantNo: number, session: StoredSession | undefined, input: ListRunsInput): RunPage {
    const before = readToken(input.pageToken);
    const pageSize = Math.min(Math.max(input.pageSize, 1), maxPageSize);
    const rows =
      session === undefined
        ? this.ofTenant.iterate(tenantNo, before, maxLookedAt)
        : this.ofSession.iterate(session.sessionNo, before, maxLookedAt);
    const runs: RunPage["runs"][number][] = [];
    let lookedAt = 0;
    for (const columns of rows) {
      lookedAt += 1;
      const { row } = toStoredRun(columns);
      const isWanted =
        (input.states.length === 0 || input.states.includes(row.state)) &&
        (input.agentId === "" || input.agentId === row.agentId);
      if (isWanted) runs.push(row);
      if (runs.length === pageSize || lookedAt === maxLookedAt) return { runs, nextPageToken: writeToken(row.runId) };
    }
    return { runs, nextPageToken: "" };
  }
}

/** Behind every id. */
const last = "run_~";

function writeToken(runId: string): string {
  return Buffer.from(runId).toString("base64url");
}

function readToken(token: string): string {
  if (token === "") return last;
  const runId = Buffer.from(token, "base64url").toString("utf8");
  if (!/^run_[0-9A-Za-z]{1,64}$/.test(runId)) throw new InvalidPageToken("not a token of this list");
  return runId;
}
