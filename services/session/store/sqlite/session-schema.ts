/**
 * The schema of session.db.
 *
 * Keeps: the tenant is first in every key; the two indexes without it (`runs_ready`, `runs_running`) serve the mesh's
 * own work over all tenants, never a caller's question. Events are packed rows appended by rowid (datapath.md, The log).
 */
import { probeTable } from "../../../kernel/store/sqlite/group-commit.ts";

/** See migrate(). */
export const sessionMigrations: readonly string[] = [
  `${probeTable}
  CREATE TABLE tenants (
    tenant_no INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL UNIQUE
  ) STRICT;

  CREATE TABLE sessions (
    session_no INTEGER PRIMARY KEY,
    tenant_no INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    session_key TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    state TEXT NOT NULL,
    title TEXT NOT NULL,
    labels TEXT NOT NULL,
    log_id TEXT NOT NULL,
    head_seq INTEGER NOT NULL,
    oldest_seq INTEGER NOT NULL,
    active_run_id TEXT NOT NULL,
    queued_runs INTEGER NOT NULL,
    parent_session_id TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    last_message_at_ms INTEGER NOT NULL,
    message_count INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX sessions_by_id ON sessions (tenant_no, session_id);
  CREATE UNIQUE INDEX sessions_by_key ON sessions (tenant_no, session_key) WHERE session_key <> '';
  CREATE INDEX sessions_by_update ON sessions (tenant_no, updated_at_ms, session_no);
  CREATE INDEX sessions_by_creation ON sessions (tenant_no, created_at_ms, session_no);

  CREATE TABLE runs (
    run_no INTEGER PRIMARY KEY,
    tenant_no INTEGER NOT NULL,
    session_no INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    state TEXT NOT NULL,
    blocked INTEGER NOT NULL, -- 1 while another run of its session runs
    status INTEGER NOT NULL,
    failure BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    batch_no INTEGER NOT NULL,
    batch_first_seq INTEGER NOT NULL,
    batch_last_seq INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    message_ids TEXT NOT NULL,
    options BLOB NOT NULL,
    principal TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    queued_at_ms INTEGER NOT NULL,
    started_at_ms INTEGER NOT NULL,
    finished_at_ms INTEGER NOT NULL,
    queued_seq INTEGER NOT NULL,
    finished_seq INTEGER NOT NULL,
    cancelled_by TEXT NOT NULL,
    cancel_reason TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX runs_by_id ON runs (tenant_no, run_id);
  CREATE INDEX runs_waiting ON runs (tenant_no, session_no, priority DESC, run_no) WHERE state = 'queued';
  CREATE INDEX runs_ready ON runs (priority DESC, run_no) WHERE state = 'queued' AND blocked = 0;
  CREATE INDEX runs_running ON runs (run_no) WHERE state = 'running';

  CREATE TABLE event_rows (
    event_row_no INTEGER PRIMARY KEY,
    tenant_no INTEGER NOT NULL,
    session_no INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    crc32 INTEGER NOT NULL,
    events BLOB NOT NULL -- repeated bytes events = 1
  ) STRICT;
  CREATE UNIQUE INDEX event_rows_by_seq ON event_rows (tenant_no, session_no, first_seq);

  CREATE TABLE requests (
    request_no INTEGER PRIMARY KEY, -- rises with time, so that the oldest are found without an index
    tenant_no INTEGER NOT NULL,
    principal TEXT NOT NULL,
    method TEXT NOT NULL,
    request_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    answer BLOB NOT NULL,
    answered_at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX requests_by_id ON requests (tenant_no, principal, method, request_id);`,

  `ALTER TABLE sessions ADD COLUMN profile BLOB NOT NULL DEFAULT x''; -- see SessionRow.profile
  ALTER TABLE sessions ADD COLUMN idle_timeout_ms INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE sessions ADD COLUMN context_floor_seq INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE sessions ADD COLUMN log_bytes INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE sessions ADD COLUMN compacted_seq INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE sessions ADD COLUMN searched_seq INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE sessions ADD COLUMN index_seq INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX sessions_to_compact ON sessions (session_no) WHERE head_seq - compacted_seq >= 256;`,

  // Commands to runs, collecting runs, and the children of a session (a cancel reaches them).
  `ALTER TABLE runs ADD COLUMN collects INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE runs ADD COLUMN last_command_id INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE runs ADD COLUMN acted_command_id INTEGER NOT NULL DEFAULT 0;
  CREATE TABLE run_commands (
    tenant_no INTEGER NOT NULL,
    run_no INTEGER NOT NULL,
    command_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    message_id TEXT NOT NULL,
    priority INTEGER NOT NULL,
    principal TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    payload BLOB NOT NULL,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant_no, run_no, command_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX sessions_by_parent ON sessions (tenant_no, parent_session_id, session_no) WHERE parent_session_id <> '';`,

  // Sessions that may become idle, with a timeout of their own or without; the runs of a session that is deleted.
  `CREATE INDEX sessions_silent ON sessions (idle_timeout_ms > 0, updated_at_ms + idle_timeout_ms)
    WHERE state = 'active' AND active_run_id = '' AND queued_runs = 0;
  CREATE INDEX runs_by_session ON runs (tenant_no, session_no);`,

  // Search by words: documents (a message, or the answer of a run that has ended), and answers that go on.
  `CREATE TABLE search_documents (
    document_no INTEGER PRIMARY KEY,
    tenant_no INTEGER NOT NULL,
    session_no INTEGER NOT NULL,
    seq INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX search_documents_by_seq ON search_documents (tenant_no, session_no, seq);
  CREATE VIRTUAL TABLE search_words USING fts5 (
    tenant, text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
  ); -- rowid is document_no
  CREATE TABLE answer_parts (
    tenant_no INTEGER NOT NULL,
    session_no INTEGER NOT NULL,
    part_no INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    step INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    block_id TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (tenant_no, session_no, part_no)
  ) STRICT;
  CREATE INDEX sessions_to_search ON sessions (session_no) WHERE head_seq > searched_seq;`,

  // Where the log of a forked session comes from, and when retention last removed events.
  `ALTER TABLE sessions ADD COLUMN forked_from_session_id TEXT NOT NULL DEFAULT '';
  ALTER TABLE sessions ADD COLUMN forked_at_seq INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE sessions ADD COLUMN trimmed_at_ms INTEGER NOT NULL DEFAULT 0;`,

  // Sessions that are older than the count of their bytes.
  `UPDATE sessions SET log_bytes = coalesce((SELECT sum(length(e.events)) FROM event_rows e
    WHERE e.tenant_no = sessions.tenant_no AND e.session_no = sessions.session_no), 0);`,

  // The index feed: sessions by their last change, and what is left of deleted ones. Places before this were not given.
  `ALTER TABLE tenants ADD COLUMN index_id TEXT NOT NULL DEFAULT '';
  ALTER TABLE tenants ADD COLUMN index_floor INTEGER NOT NULL DEFAULT 0;
  UPDATE tenants SET index_id = 'idx_' || lower(hex(randomblob(13)));
  UPDATE sessions SET index_seq = session_no;
  CREATE UNIQUE INDEX sessions_by_index ON sessions (tenant_no, index_seq);
  CREATE TABLE deleted_sessions (
    tenant_no INTEGER NOT NULL,
    index_seq INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    deleted_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant_no, index_seq)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX deleted_sessions_by_time ON deleted_sessions (deleted_at_ms);`,

  // The children of a session that have something to stop, however many there are that have not.
  `CREATE INDEX sessions_at_work ON sessions (tenant_no, parent_session_id, session_no)
    WHERE parent_session_id <> '' AND (active_run_id <> '' OR queued_runs > 0);`,

  // All runs of a session are asked for only when it is deleted or checked: a chain from its last one costs a submit less
  // than an index, each entry of which would stand in another page.
  `ALTER TABLE runs ADD COLUMN prior_run_no INTEGER NOT NULL DEFAULT 0; -- of the same session; 0 for its first
  ALTER TABLE sessions ADD COLUMN last_run_no INTEGER NOT NULL DEFAULT 0;
  UPDATE runs SET prior_run_no = coalesce((SELECT max(p.run_no) FROM runs p INDEXED BY runs_by_session
    WHERE p.tenant_no = runs.tenant_no AND p.session_no = runs.session_no AND p.run_no < runs.run_no), 0);
  UPDATE sessions SET last_run_no = coalesce((SELECT max(r.run_no) FROM runs r INDEXED BY runs_by_session
    WHERE r.tenant_no = sessions.tenant_no AND r.session_no = sessions.session_no), 0);
  DROP INDEX runs_by_session;`,

  // What an append does not move (session-places.ts): indexes of the moment of the last change and of the head itself
  // had an entry taken out and put in with every append.
  `ALTER TABLE sessions ADD COLUMN updated_second INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE sessions ADD COLUMN to_search INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE sessions ADD COLUMN to_compact INTEGER NOT NULL DEFAULT 0;
  UPDATE sessions SET updated_second = updated_at_ms / 1000, to_search = head_seq > searched_seq,
    to_compact = head_seq - compacted_seq >= 256;
  DROP INDEX sessions_by_update;
  DROP INDEX sessions_to_search;
  DROP INDEX sessions_to_compact;
  CREATE INDEX sessions_by_second ON sessions (tenant_no, updated_second);
  CREATE INDEX sessions_to_search ON sessions (session_no) WHERE to_search = 1;
  CREATE INDEX sessions_to_compact ON sessions (session_no) WHERE to_compact = 1;`,

  // When a policy made a session start over, as numbers with commas; sessions by their labels.
  `ALTER TABLE sessions ADD COLUMN resets_at_ms TEXT NOT NULL DEFAULT '';
  CREATE TABLE session_labels (
    tenant_no INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    session_no INTEGER NOT NULL,
    PRIMARY KEY (tenant_no, name, value, session_no)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO session_labels SELECT s.tenant_no, l.key, l.value, s.session_no FROM sessions s, json_each(s.labels) AS l;`,
];
