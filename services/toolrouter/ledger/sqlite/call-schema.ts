/** The schema of toolrouter.db. Keeps: the tenant is first in every key; `calls_settled` serves the mesh's own sweep. */
import { probeTable } from "../../../kernel/store/sqlite/group-commit.ts";

/** See migrate(). */
export const callMigrations: readonly string[] = [
  `${probeTable}
  CREATE TABLE calls (
    call_no INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    call_id TEXT NOT NULL,
    state TEXT NOT NULL, -- open, finished, tombstoned
    tool TEXT NOT NULL,
    digest TEXT NOT NULL,
    session_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    principal TEXT NOT NULL,
    instance_id TEXT NOT NULL,
    result BLOB NOT NULL,
    begun_at_ms INTEGER NOT NULL,
    settled_at_ms INTEGER NOT NULL -- 0 while open
  ) STRICT;
  CREATE UNIQUE INDEX calls_by_id ON calls (tenant, call_id);
  CREATE INDEX calls_by_run ON calls (tenant, run_id);
  CREATE INDEX calls_settled ON calls (settled_at_ms) WHERE state <> 'open';

  CREATE TABLE run_epochs (
    tenant TEXT NOT NULL,
    run_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    PRIMARY KEY (tenant, run_id)
  ) STRICT, WITHOUT ROWID;`,

  // An id is its owner's: nobody can take or give up one that another run is about to use.
  `DROP INDEX calls_by_id;
  CREATE UNIQUE INDEX calls_by_owner ON calls (tenant, call_id, run_id, principal);`,
];
