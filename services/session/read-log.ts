/**
 * Pages of a session's log, as ListEvents and GetSnapshot give them.
 *
 * Keeps S2 and S5: a cursor that can't be served is OUT_OF_RANGE. Keeps S6: a page's token says how far was read, not
 * what was shown, so a page that hides everything is followed by the next one as any other.
 */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { type RawEventPage, RawEventPageSchema } from "../../gen/atoll/internal/v1/raw_events_pb.ts";
import type { GetSnapshotRequest, ListEventsRequest } from "../../gen/atoll/session/v1/session_service_pb.ts";
import { ErrorReason, failure } from "../kernel/errors.ts";
import { createEventFilter } from "../kernel/event/filter-events.ts";
import { mergeDeltas } from "../kernel/event/merge-deltas.ts";
import { scopeOf } from "../kernel/rpc/call-context.ts";
import type { LogPage } from "../kernel/store/session-store.ts";
import { InvalidPageToken } from "../kernel/store/store-errors.ts";
import { requireOpened, sessionNotFound } from "./read-session.ts";
import type { SessionDeps } from "./session-deps.ts";

type Page = Extract<LogPage, { kind: "page" }>;

const defaultPageSize = 500;
const maxPageBytes = 1_048_576;
const maxSnapshotPageEvents = 5_000;

/** Where a list goes on: the log, what was given, and the seq at which the list ends (0: at the head of the moment). */
interface PagePlace {
  readonly logId: string;
  readonly afterSeq: number;
  readonly throughSeq: number;
}

export async function listEvents(
  deps: SessionDeps,
  request: ListEventsRequest,
  context: HandlerContext,
): Promise<RawEventPage> {
  const filter = createEventFilter(request.filter);
  const start = { logId: request.cursor?.logId ?? "", afterSeq: Number(request.cursor?.afterSeq ?? 0n), throughSeq: 0 };
  const place = request.pageToken === "" ? start : readToken(request.pageToken);
  const size = { maxEvents: request.pageSize || defaultPageSize, maxBytes: maxPageBytes };
  const page = await readPage(deps, request.sessionId, place, size, context);
  // Hidden bodies become ranges, so the filtered page ends where the page ends, and so does its token.
  return toPage({ ...page, events: filter(page.events) }, place, page.headSeq, 0);
}

export async function getSnapshot(
  deps: SessionDeps,
  request: GetSnapshotRequest,
  context: HandlerContext,
): Promise<RawEventPage> {
  const place = request.pageToken === "" ? { logId: "", afterSeq: 0, throughSeq: 0 } : readToken(request.pageToken);
  const size = { maxEvents: maxSnapshotPageEvents, maxBytes: request.pageBytes || maxPageBytes };
  const page = await readPage(deps, request.sessionId, place, size, context);
  // The first page fixes where the snapshot ends, so that it is one moment over all its pages.
  const throughSeq = place.throughSeq || page.headSeq;
  // What compaction has not reached yet is merged here.
  return toPage({ ...page, events: mergeDeltas(page.events) }, place, throughSeq, throughSeq);
}

async function readPage(
  deps: SessionDeps,
  sessionId: string,
  place: PagePlace,
  size: { readonly maxEvents: number; readonly maxBytes: number },
  context: HandlerContext,
): Promise<Page> {
  requireOpened(sessionId, context);
  const range = {
    afterSeq: place.afterSeq,
    ...size,
    ...(place.throughSeq > 0 ? { throughSeq: place.throughSeq } : {}),
  };
  const page = await deps.store.readEvents(scopeOf(context), sessionId, range);
  if (page.kind === "session-not-found") throw sessionNotFound({ sessionId });
  checkCursor(page, place);
  return page;
}

/** Errors: LOG_REPLACED, CURSOR_AHEAD, HISTORY_TRIMMED (S5). */
export function checkCursor(
  page: Omit<Page, "kind" | "events">,
  cursor: { readonly logId: string; readonly afterSeq: number },
): void {
  const { logId, headSeq, oldestSeq } = page;
  const metadata = { log_id: logId, oldest_seq: String(oldestSeq), head_seq: String(headSeq) };
  if (cursor.logId !== "" && cursor.logId !== logId) {
    throw failure(ErrorReason.LOG_REPLACED, "the cursor belongs to another log: read the session again from 0", {
      metadata,
    });
  }
  if (cursor.afterSeq > headSeq) {
    throw failure(ErrorReason.CURSOR_AHEAD, `the cursor ${cursor.afterSeq} is past the head ${headSeq}`, { metadata });
  }
  if (cursor.afterSeq > 0 && cursor.afterSeq + 1 < oldestSeq) {
    throw failure(
      ErrorReason.HISTORY_TRIMMED,
      `events before ${oldestSeq} were removed: read the session again from 0`,
      { metadata },
    );
  }
}

function toPage(page: Page, place: PagePlace, throughSeq: number, fixedSeq: number): RawEventPage {
  const lastSeq = page.events.at(-1)?.seq ?? place.afterSeq;
  return create(RawEventPageSchema, {
    events: page.events.map((event) => event.bytes),
    logId: page.logId,
    headSeq: BigInt(throughSeq),
    oldestSeq: BigInt(page.oldestSeq),
    nextPageToken:
      lastSeq < throughSeq && page.events.length > 0
        ? writeToken({ logId: page.logId, afterSeq: lastSeq, throughSeq: fixedSeq })
        : "",
  });
}

function writeToken(place: PagePlace): string {
  return Buffer.from(JSON.stringify([place.logId, place.afterSeq, place.throughSeq])).toString("base64url");
}

function readToken(token: string): PagePlace {
  try {
    const parts: unknown = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    if (Array.isArray(parts) && parts.length === 3) {
      const [logId, afterSeq, throughSeq] = parts as readonly unknown[];
      if (typeof logId === "string" && isSeq(afterSeq) && isSeq(throughSeq)) return { logId, afterSeq, throughSeq };
    }
  } catch {
    // Answered below, like every token that is not ours.
  }
  throw new InvalidPageToken("not a token of this list");
}

function isSeq(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
