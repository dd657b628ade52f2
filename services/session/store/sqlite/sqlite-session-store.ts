/**
 * The SessionStore on one SQLite file.
 *
 * Keeps the port's contract: every change is one entry of a group commit (group-commit.ts), every read sees committed
 * rows only, because a transaction begins and ends within one tick. An id that a caller makes must be new: a second
 * session or run of the same id is a mistake of the program and throws as SQLite reports it.
 */

import type { DatabaseSync } from "node:sqlite";
import { trimmedHistory } from "../../../kernel/event/trimmed-history.ts";
import type { Scope } from "../../../kernel/store/scope.ts";
import { type Change, GroupCommit } from "../../../kernel/store/sqlite/group-commit.ts";
import { openDatabase } from "../../../kernel/store/sqlite/open-database.ts";
import { isCorrupt, readGuarded, toStoreUnavailable } from "../../../kernel/store/sqlite/sqlite-errors.ts";
import type { StoreOptions } from "../../../kernel/store/store-errors.ts";
import type { ListSessionsInput, SessionPage } from "../pages.ts";
import type { IndexPlace, RunRow, SessionRow } from "../rows.ts";
import type { SessionStore } from "../session-store.ts";
import { MessageIndexing } from "./finding/index-messages.ts";
import { RunLists } from "./finding/list-runs.ts";
import { readToken, SessionLists } from "./finding/list-sessions.ts";
import { changeSession } from "./life/change-session.ts";
import { closeSession } from "./life/close-session.ts";
import { createSession } from "./life/create-session.ts";
import { deleteSession } from "./life/delete-session.ts";
import { forkSession } from "./life/fork-session.ts";
import type { StoredSession } from "./life/session-columns.ts";
import { sweepIdle } from "./life/sweep-idle.ts";
import { appendBatch } from "./log/append-batch.ts";
import { LogCompaction } from "./log/compact-logs.ts";
import { ReplacedLogs } from "./log/replaced-logs.ts";
import { LogRetention } from "./log/trim-logs.ts";
import { cancelRun } from "./runs/cancel-run.ts";
import { claimRuns, takeOverRun } from "./runs/claim-run.ts";
import { toCommandRow } from "./runs/command-run.ts";
import { finishRun } from "./runs/end-run.ts";
import { submitMessage } from "./runs/submit-message.ts";
import { sessionMigrations } from "./session-schema.ts";
import { prepareSessionTables, type SessionTables } from "./session-tables.ts";

/** Opens `session.db` in `dataDir`; `nowMs` gives milliseconds since 1970. Throws `StoreUnavailable`. */
export function openSqliteSessionStore(dataDir: string, nowMs: () => number, options: StoreOptions = {}): SessionStore {
  const database = openDatabase(dataDir, "session.db", sessionMigrations);
  try {
    return new SqliteSessionStore(dataDir, database, nowMs, options);
  } catch (error) {
    database.close();
    throw toStoreUnavailable(error) ?? error;
  }
}

/** The feed of a tenant that has stored nothing yet. */
const noIndex: IndexPlace = { feedId: "", headSeq: 0, oldestSeq: 1 };

class SqliteSessionStore implements SessionStore {
  private readonly tables: SessionTables;
  private readonly lists: SessionLists;
  private readonly runLists: RunLists;
  private readonly compaction: LogCompaction;
  private readonly retention: LogRetention;
  private readonly indexing = new MessageIndexing();
  private readonly commits: GroupCommit;
  private readonly replacedLogs: ReplacedLogs;

  constructor(dataDir: string, database: DatabaseSync, nowMs: () => number, options: StoreOptions) {
    const tables = prepareSessionTables(database);
    this.tables = tables;
    this.lists = new SessionLists(database);
    this.runLists = new RunLists(database);
    this.compaction = new LogCompaction(database);
    this.retention = new LogRetention(database);
    this.replacedLogs = new ReplacedLogs(dataDir, database, tables.index, options.onWarning ?? (() => undefined));
    const forget = (): void => {
      tables.tenants.forget();
      tables.index.forget();
      tables.sessions.forget();
      tables.calls.forget();
    };
    this.commits = new GroupCommit(database, nowMs, forget, options);
  }

  createSession: SessionStore["createSession"] = (scope, request, session) =>
    this.commits.write((nowMs) => createSession(this.tables, scope, request, session, nowMs));

  changeSession: SessionStore["changeSession"] = (scope, request, change) =>
    this.commits.write((nowMs) => changeSession(this.tables, scope, request, change, nowMs));

  closeSession: SessionStore["closeSession"] = (scope, request, closing) =>
    this.commits.write((nowMs) => closeSession(this.tables, scope, request, closing, nowMs));

  deleteSession: SessionStore["deleteSession"] = (scope, request, deletion) =>
    this.commits.write((nowMs) => deleteSession(this.tables, scope, request, deletion, nowMs));

  forkSession: SessionStore["forkSession"] = (scope, request, fork) =>
    this.commits.write((nowMs) => forkSession(this.tables, scope, request, fork, nowMs));

  sweepIdle: SessionStore["sweepIdle"] = (sweep) => this.commits.write((nowMs) => sweepIdle(this.tables, sweep, nowMs));

  countSessions: SessionStore["countSessions"] = async ({ tenant }, { activeSinceMs }) =>
    readGuarded(() => {
      const tenantNo = this.tables.tenants.find(tenant);
      return tenantNo === undefined
        ? { total: 0, active: 0 }
        : this.tables.sessions.countSessions(tenantNo, activeSinceMs);
    });

  submitMessage: SessionStore["submitMessage"] = (scope, request, message) =>
    this.commits.write((nowMs) => submitMessage(this.tables, scope, request, message, nowMs));

  cancelRun: SessionStore["cancelRun"] = (scope, request, cancel) =>
    this.commits.write((nowMs) => cancelRun(this.tables, scope, request, cancel, nowMs));

  claimRuns: SessionStore["claimRuns"] = (input) => this.commits.write((nowMs) => claimRuns(this.tables, input, nowMs));

  takeOverRun: SessionStore["takeOverRun"] = (run, events) =>
    this.commits.write((nowMs) => takeOverRun(this.tables, run, events, nowMs));

  appendBatch: SessionStore["appendBatch"] = (batch) =>
    this.commits.write((nowMs) => appendBatch(this.tables, batch, nowMs));

  finishRun: SessionStore["finishRun"] = (run, finish) =>
    this.commits.write((nowMs) => finishRun(this.tables, run, finish, nowMs));

  compactLogs: SessionStore["compactLogs"] = ({ maxWindows }) =>
    this.writeAround(() => this.compaction.compact(this.tables, maxWindows));

  trimLogs: SessionStore["trimLogs"] = (trim) =>
    this.writeAround((nowMs) => this.retention.trim(this.tables, trim, nowMs));

  indexMessages: SessionStore["indexMessages"] = (bound) =>
    this.writeAround(() => this.indexing.index(this.tables, bound));

  async getSession(
    scope: Scope,
    by: { readonly sessionId: string } | { readonly key: string },
  ): Promise<SessionRow | undefined> {
    return readGuarded(() => {
      const tenantNo = this.tables.tenants.find(scope.tenant);
      if (tenantNo === undefined) {
        return undefined;
      }
      const { sessions } = this.tables;
      return ("sessionId" in by ? sessions.findById(tenantNo, by.sessionId) : sessions.findByKey(tenantNo, by.key))
        ?.row;
    });
  }

  async listSessions(scope: Scope, input: ListSessionsInput): Promise<SessionPage> {
    return readGuarded(() => {
      const tenantNo = this.tables.tenants.find(scope.tenant);
      if (tenantNo === undefined) {
        // A bad token is refused also where there is nothing to list.
        readToken(input);
        return { sessions: [], nextPageToken: "", index: noIndex };
      }
      return { ...this.lists.list(tenantNo, input), index: this.tables.index.placeOf(tenantNo) };
    });
  }

  readIndex: SessionStore["readIndex"] = async ({ tenant }, { afterSeq, limit }) =>
    readGuarded(() => {
      const tenantNo = this.tables.tenants.find(tenant);
      if (tenantNo === undefined) return { ...noIndex, entries: [] };
      return { ...this.tables.index.placeOf(tenantNo), entries: this.tables.index.read(tenantNo, afterSeq, limit) };
    });

  async getRun(scope: Scope, runId: string): Promise<RunRow | undefined> {
    return readGuarded(() => {
      const tenantNo = this.tables.tenants.find(scope.tenant);
      return tenantNo === undefined ? undefined : this.tables.runs.findById(tenantNo, runId)?.row;
    });
  }

  async listRunningRuns(): Promise<readonly RunRow[]> {
    return readGuarded(() => this.tables.runs.listRunning());
  }

  listCommands: SessionStore["listCommands"] = async ({ tenant, runId }) =>
    readGuarded(() => {
      const tenantNo = this.tables.tenants.find(tenant);
      const run = tenantNo === undefined ? undefined : this.tables.runs.findById(tenantNo, runId);
      return run === undefined ? [] : this.tables.commands.listOpen(run).map(toCommandRow);
    });

  listRuns: SessionStore["listRuns"] = async ({ tenant }, input) =>
    readGuarded(() => {
      const tenantNo = this.tables.tenants.find(tenant);
      const session = input.sessionId === "" ? undefined : this.findSession(tenant, input.sessionId);
      if (tenantNo === undefined || (input.sessionId !== "" && session === undefined))
        return { runs: [], nextPageToken: "" };
      return this.runLists.list(tenantNo, session, input);
    });

  async countQueuedRuns(): Promise<number> {
    return readGuarded(() => this.tables.runs.countQueued());
  }

  readEvents: SessionStore["readEvents"] = async (scope, sessionId, range) =>
    readGuarded(() => {
      const session = this.findSession(scope.tenant, sessionId);
      if (session === undefined) {
        return { kind: "session-not-found" };
      }
      const { logId, headSeq, oldestSeq, trimmedAtMs } = session.row;
      const bounded = { ...range, throughSeq: range.throughSeq ?? headSeq };
      const page = { kind: "page", logId, headSeq, oldestSeq } as const;
      if (range.afterSeq >= oldestSeq - 1) return { ...page, events: this.tables.events.read(session, bounded) };
      const trimmed = trimmedHistory(oldestSeq - 1, trimmedAtMs);
      const maxEvents = range.maxEvents - 1;
      const kept = maxEvents < 1 ? [] : this.tables.events.read(session, { ...bounded, maxEvents });
      return { ...page, events: [trimmed, ...kept] };
    });

  sweepRequests(beforeMs: number): Promise<number> {
    return this.sweepAll(() => this.tables.requests.sweep(beforeMs));
  }

  sweepDeletedSessions(beforeMs: number): Promise<number> {
    return this.sweepAll(() => this.tables.index.sweep(beforeMs));
  }

  /** A change that goes on behind damage; runs again when it met a broken row that nobody knew of (see broken-rows.ts). */
  private async writeAround<T>(change: Change<T>): Promise<T> {
    for (;;) {
      const known = this.tables.events.brokenRows;
      try {
        return await this.commits.write(change);
      } catch (error) {
        if (!isCorrupt(error) || this.tables.events.brokenRows === known) throw error;
      }
    }
  }

  private async sweepAll(sweepSome: () => { readonly removed: number; readonly more: boolean }): Promise<number> {
    let total = 0;
    for (;;) {
      const { removed, more } = await this.commits.write(sweepSome);
      total += removed;
      if (!more) {
        return total;
      }
    }
  }

  async close(): Promise<void> {
    this.commits.drain();
    this.replacedLogs.close();
    this.commits.close();
  }

  private findSession(tenant: string, sessionId: string): StoredSession | undefined {
    const tenantNo = this.tables.tenants.find(tenant);
    return tenantNo === undefined ? undefined : this.tables.sessions.findById(tenantNo, sessionId);
  }
}
