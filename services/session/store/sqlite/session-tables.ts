/** The tables of session.db with their prepared statements; the verbs beside this file share them. */
import type { DatabaseSync } from "node:sqlite";
import { IndexRows } from "./finding/index-rows.ts";
import { SearchRows } from "./finding/search-rows.ts";
import { IdleSessions } from "./life/idle-sessions.ts";
import { SessionRows } from "./life/session-rows.ts";
import { TenantRows } from "./life/tenant-rows.ts";
import { EventRows } from "./log/event-rows.ts";
import { RequestRows } from "./request-rows.ts";
import { KnownCalls } from "./runs/known-calls.ts";
import { RunCommandRows } from "./runs/run-command-rows.ts";
import { RunRows } from "./runs/run-rows.ts";

export interface SessionTables {
  readonly tenants: TenantRows;
  readonly index: IndexRows;
  readonly sessions: SessionRows;
  readonly runs: RunRows;
  readonly commands: RunCommandRows;
  readonly calls: KnownCalls;
  readonly events: EventRows;
  readonly requests: RequestRows;
  readonly idle: IdleSessions;
  readonly search: SearchRows;
}

export function prepareSessionTables(database: DatabaseSync): SessionTables {
  const index = new IndexRows(database);
  return {
    tenants: new TenantRows(database),
    index,
    sessions: new SessionRows(database, index),
    runs: new RunRows(database),
    commands: new RunCommandRows(database),
    calls: new KnownCalls(),
    events: new EventRows(database),
    requests: new RequestRows(database),
    idle: new IdleSessions(database),
    search: new SearchRows(database),
  };
}
