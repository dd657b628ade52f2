/** The tables of session.db with their prepared statements; the verbs beside this file share them. */
import type { DatabaseSync } from "node:sqlite";
import { EventRows } from "./event-rows.ts";
import { RequestRows } from "./request-rows.ts";
import { RunRows } from "./run-rows.ts";
import { SessionRows } from "./session-rows.ts";
import { TenantRows } from "./tenant-rows.ts";

export interface SessionTables {
  readonly tenants: TenantRows;
  readonly sessions: SessionRows;
  readonly runs: RunRows;
  readonly events: EventRows;
  readonly requests: RequestRows;
}

export function prepareSessionTables(database: DatabaseSync): SessionTables {
  return {
    tenants: new TenantRows(database),
    sessions: new SessionRows(database),
    runs: new RunRows(database),
    events: new EventRows(database),
    requests: new RequestRows(database),
  };
}
