/**
 * Lists a tenant's sessions by key set: a page begins after the last row of the page before, so that a list that changes
 * meanwhile repeats nothing that stayed in place.
 *
 * Keeps L7: a page has at most 500 sessions. The token names the order that it was given for; it is a place in that
 * order, under whatever filter.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { InvalidPageToken } from "../../../../kernel/store/store-errors.ts";
import type { ListSessionsInput, SessionPage } from "../../pages.ts";
import { type StoredSession, selectSessions, toStoredSession } from "../life/session-columns.ts";
import { secondOf } from "../life/session-places.ts";
import { matchExpression } from "./search-rows.ts";

const maxPageSize = 500;

type Order = ListSessionsInput["order"];

/** `first` is what the index is by, when it is less than the whole order: its condition, and what stands before the order. */
const orders = {
  "updated-desc": {
    column: "updated_at_ms",
    comparison: "<",
    direction: "DESC",
    first: { condition: "AND s.updated_second <= :second", order: "s.updated_second DESC, " },
  },
  "created-desc": { column: "created_at_ms", comparison: "<", direction: "DESC", first: undefined },
  "created-asc": { column: "created_at_ms", comparison: ">", direction: "ASC", first: undefined },
} as const satisfies Record<Order, object>;

/** A part of the condition, and its parameter. */
interface Filter {
  readonly name: string;
  readonly condition: string;
  readonly value: string;
  /** Parameters beside `value`. */
  readonly more?: Readonly<Record<string, string>>;
}

/** A label that is asked for. */
interface Label {
  readonly name: string;
  readonly value: string;
}

/** With more sessions than these, going through all in their order finds a page soon enough. */
const maxRareSessions = 5_000;

/** The row that a page begins after. */
interface Cursor {
  readonly atMs: number;
  readonly sessionNo: number;
}

const beforeAll: Cursor = { atMs: -1, sessionNo: -1 };
const afterAll: Cursor = { atMs: Number.MAX_SAFE_INTEGER, sessionNo: Number.MAX_SAFE_INTEGER };

export class SessionLists {
  private readonly database: DatabaseSync;
  private readonly countLabel: StatementSync;
  /** By order and filters, so that each list can use the index that serves it: three orders and 48 sets of filters. */
  private readonly statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.database = database;
    this.countLabel = database.prepare(
      `SELECT count(*) AS count FROM (SELECT 1 FROM session_labels WHERE tenant_no = ? AND name = ? AND value = ? LIMIT ?)`,
    );
  }

  /** See SessionStore.listSessions. */
  list(tenantNo: number, input: ListSessionsInput): Omit<SessionPage, "index"> {
    const pageSize = Math.min(Math.max(input.pageSize, 1), maxPageSize);
    const { atMs, sessionNo } = readToken(input);
    const filters = filtersOf(tenantNo, input, this.rarestLabel(tenantNo, input.labels));
    if (filters === undefined) return { sessions: [], nextPageToken: "" };
    const rows = this.prepare(input.order, filters).all({
      tenantNo,
      atMs,
      sessionNo,
      ...(orders[input.order].first === undefined ? {} : { second: secondOf(atMs) }),
      ...Object.fromEntries(
        filters.flatMap(({ name, value, more = {} }) => [[name, value] as const, ...Object.entries(more)]),
      ),
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

  /** The label that the fewest sessions have, when it is worth beginning with them. */
  private rarestLabel(tenantNo: number, labels: ListSessionsInput["labels"]): Label | undefined {
    const counted = Object.entries(labels).map(([name, value]) => {
      const count = Number(this.countLabel.get(tenantNo, name, value, maxRareSessions + 1)?.count);
      return { name, value, count };
    });
    const [rarest] = counted.sort((one, other) => one.count - other.count);
    return rarest !== undefined && rarest.count <= maxRareSessions ? rarest : undefined;
  }

  private prepare(order: Order, filters: readonly Filter[]): StatementSync {
    const key = [order, ...filters.map(({ name }) => name)].join(" ");
    const known = this.statements.get(key);
    if (known !== undefined) return known;
    const { column, comparison, direction, first } = orders[order];
    // A session's children are few, whatever the order; nothing else tells SQLite so.
    const isOf = (wanted: string): boolean => filters.some(({ name }) => name === wanted);
    const index = isOf("parentSessionId") ? "INDEXED BY sessions_by_parent" : "";
    // So it is with a label that few have: the plus keeps SQLite from going through all sessions in their order.
    const plus = isOf("rareLabel") && index === "" ? "+" : "";
    const conditions = filters.map(({ condition }) => ` AND ${condition}`).join("");
    const clauses = `WHERE ${plus}s.tenant_no = :tenantNo
      AND (s.${column}, s.session_no) ${comparison} (:atMs, :sessionNo) ${first?.condition ?? ""}${conditions}
      ORDER BY ${first?.order ?? ""}s.${column} ${direction}, s.session_no ${direction} LIMIT :limit`;
    const statement = selectSessions(this.database, clauses, index);
    this.statements.set(key, statement);
    return statement;
  }
}

/** Only the ones that are asked for, always in this order; undefined when nothing can be found. */
function filtersOf(
  tenantNo: number,
  { agentId, states, labels, parentSessionId, query }: ListSessionsInput,
  rarest: Label | undefined,
): Filter[] | undefined {
  const match = query === "" ? "" : matchExpression(tenantNo, query);
  if (match === undefined) return undefined;
  const hasLabels = Object.keys(labels).length > 0;
  return [
    { isAsked: agentId !== "", name: "agentId", condition: "s.agent_id = :agentId", value: agentId },
    {
      isAsked: states.length > 0,
      name: "states",
      condition: "s.state IN (SELECT value FROM json_each(:states))",
      value: JSON.stringify(states),
    },
    {
      isAsked: rarest !== undefined,
      name: "rareLabel",
      condition: hasRareLabel,
      value: rarest?.name ?? "",
      more: { rareValue: rarest?.value ?? "" },
    },
    { isAsked: hasLabels, name: "labels", condition: hasEveryLabel, value: JSON.stringify(labels) },
    {
      isAsked: parentSessionId !== "",
      name: "parentSessionId",
      // The index of the children knows no others.
      condition: "s.parent_session_id = :parentSessionId AND s.parent_session_id <> ''",
      value: parentSessionId,
    },
    { isAsked: match !== "", name: "match", condition: isFound, value: match },
  ].filter(({ isAsked }) => isAsked);
}

const hasRareLabel = `s.session_no IN (SELECT l.session_no FROM session_labels l
  WHERE l.tenant_no = :tenantNo AND l.name = :rareLabel AND l.value = :rareValue)`;

const hasEveryLabel = `NOT EXISTS (SELECT 1 FROM json_each(:labels) AS wanted WHERE NOT EXISTS
  (SELECT 1 FROM json_each(s.labels) AS label WHERE label.key = wanted.key AND label.value = wanted.value))`;

const isFound = `s.session_no IN (SELECT d.session_no FROM search_words w JOIN search_documents d ON d.document_no = w.rowid
  WHERE search_words MATCH :match AND d.tenant_no = :tenantNo)`;

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
