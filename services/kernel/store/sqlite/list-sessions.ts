/**
 * Lists a tenant's sessions by key set: a page begins after the last row of the page before, so that a list that changes
 * meanwhile repeats nothing that stayed in place.
 *
 * Keeps L7: a page has at most 500 sessions. The token names the order that it was given for.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { ListSessionsInput, SessionPage } from "../session-store.ts";
import { InvalidPageToken } from "../store-errors.ts";
import { type StoredSession, sessionColumns, toStoredSession } from "./session-rows.ts";

const maxPageSize = 500;

type Order = ListSessionsInput["order"];

/** The row that a page begins after. */
interface Cursor {
  readonly atMs: number;
  readonly sessionNo: number;
}

const beforeAll: Cursor = { atMs: -1, sessionNo: -1 };
const afterAll: Cursor = { atMs: Number.MAX_SAFE_INTEGER, sessionNo: Number.MAX_SAFE_INTEGER };

export class SessionLists {
  private readonly statements: Readonly<Record<Order, StatementSync>>;

  constructor(database: DatabaseSync) {
    const prepare = (column: string, comparison: "<" | ">", direction: "DESC" | "ASC") =>
      database.prepare(`SELECT ${sessionColumns} FROM sessions s JOIN tenants t USING (tenant_no)
        WHERE s.tenant_no = :tenantNo AND (s.${column}, s.session_no) ${comparison} (:atMs, :sessionNo)
          AND (:agentId = '' OR s.agent_id = :agentId)
          AND (:states = '[]' OR s.state IN (SELECT value FROM json_each(:states)))
        ORDER BY s.${column} ${direction}, s.session_no ${direction} LIMIT :limit`);
    this.statements = {
      "updated-desc": prepare("updated_at_ms", "<", "DESC"),
      "created-desc": prepare("created_at_ms", "<", "DESC"),
      "created-asc": prepare("created_at_ms", ">", "ASC"),
    };
  }

  /** See SessionStore.listSessions. */
  list(tenantNo: number, input: ListSessionsInput): SessionPage {
    const pageSize = Math.min(Math.max(input.pageSize, 1), maxPageSize);
    const { atMs, sessionNo } = readToken(input);
    const rows = this.statements[input.order].all({
      tenantNo,
      atMs,
      sessionNo,
      agentId: input.agentId,
      states: JSON.stringify(input.states),
      // One more than asked for tells whether there is another page.
      limit: pageSize + 1,
    });
    const found = rows.slice(0, pageSize).map(toStoredSession);
    const last = found.at(-1);
    return {
      sessions: found.map(({ row }) => row),
      nextPageToken: rows.length > pageSize && last !== undefined ? writeToken(input.order, last) : "",
    };
  }
}

function writeToken(order: Order, { sessionNo, row }: StoredSession): string {
  const atMs = order === "updated-desc" ? row.updatedAtMs : row.createdAtMs;
  return Buffer.from(`${order}.${atMs}.${sessionNo}`).toString("base64url");
}

/** Throws `InvalidPageToken`. */
export function readToken({ order, pageToken }: Pick<ListSessionsInput, "order" | "pageToken">): Cursor {
  if (pageToken === "") {
    return order === "created-asc" ? beforeAll : afterAll;
  }
  const match = /^([a-z-]+)\.(\d{1,15})\.(\d{1,15})$/.exec(Buffer.from(pageToken, "base64url").toString());
  if (match === null || match[1] !== order) {
    throw new InvalidPageToken("the page token is not one of this list");
  }
  return { atMs: Number(match[2]), sessionNo: Number(match[3]) };
}
