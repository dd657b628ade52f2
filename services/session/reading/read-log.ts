/**
 * Pages of a session's log, as ListEvents and GetSnapshot give them.
 *
 * Keeps S2 and S5: a cursor that can't be served is OUT_OF_RANGE. Keeps S6: a page's token says how far was read, not
 * what was shown, so a page that hides everything is followed by the next one as any other. Keeps S1 over pages that
 * compaction overtakes: what it merged with the page before is cut.
 */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { type RawEventPage, RawEventPageSchema } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import type { GetSnapshotRequest, ListEventsRequest } from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { cutDelta, readDeltaEnd } from "../../kernel/event/cut-delta.ts";
import { createEventFilter } from "../../kernel/event/filter-events.ts";
import { mergeDeltas } from "../../kernel/event/merge-deltas.ts";
import type { StoredEvent } from "../../kernel/event/stored-event.ts";
import { scopeOf } from "../../kernel/rpc/call-context.ts";
import { InvalidPageToken } from "../../kernel/store/store-errors.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { LogPage } from "../store/pages.ts";
import { requireOpened, sessionNotFound } from "./read-session.ts";

type Page = Extract<LogPage, { kind: "page" }>;

const defaultPageSize = 500;
/** Just below a power of two with what is around the events: the encoder doubles its buffer until a page fits. */
const maxPageBytes = 1_000_000;
const maxSnapshotPageEvents = 5_000;

/** Where a list goes on. */
interface PagePlace {
  readonly logId: string;
  /** What was given. */
  readonly afterSeq: number;
  /** Where the list ends; 0 for the head of the moment. */
  readonly throughSeq: number;
  /** Where the text of the last event that was given ends in its block, in bytes, when it was a delta (see cut-delta.ts). */
  readonly deltaEnd: number | undefined;
}

const beginning: PagePlace = { logId: "", afterSeq: 0, throughSeq: 0, deltaEnd: undefined };

export async function listEvents(
  deps: SessionDeps,
  request: ListEventsRequest,
  context: HandlerContext,
): Promise<RawEventPage> {
  const filter = createEventFilter(request.filter);
  const { logId, afterSeq } = request.cursor ?? { logId: "", afterSeq: 0n };
  const start = { ...beginning, logId, afterSeq: Number(afterSeq) };
  const place = request.pageToken === "" ? start : readToken(request.pageToken);
  const size = { maxEvents: request.pageSize || defaultPageSize, maxBytes: maxPageBytes };
  const page = await readPage(deps, request.sessionId, place, size, context);
  return toPage(page, filter(page.events), place, { throughSeq: page.headSeq, fixedSeq: 0 });
}

export async function getSnapshot(
  deps: SessionDeps,
  request: GetSnapshotRequest,
  context: HandlerContext,
): Promise<RawEventPage> {
  const place = request.pageToken === "" ? beginning : readToken(request.pageToken);
  const size = { maxEvents: maxSnapshotPageEvents, maxBytes: request.pageBytes || maxPageBytes };
  const page = await readPage(deps, request.sessionId, place, size, context);
  // The first page fixes where the snapshot ends, so that it is one moment over all its pages.
  const throughSeq = place.throughSeq || page.headSeq;
  // What compaction has not reached yet is merged here.
  const events = mergeDeltas(page.events);
  return toPage({ ...page, events }, events, place, { throughSeq, fixedSeq: throughSeq });
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
  // Since the page before, compaction may have merged its last event with what comes now.
  const [first, ...rest] = page.events;
  if (first === undefined) return page;
  return { ...page, events: [cutDelta(first, place.afterSeq, place.deltaEnd), ...rest] };
}

/** `remedy` tells people what to do. Errors: LOG_REPLACED, CURSOR_AHEAD, HISTORY_TRIMMED (S5). */
export function checkCursor(
  page: Omit<Page, "kind" | "events">,
  cursor: { readonly logId: string; readonly afterSeq: number },
  remedy = "read the session again from 0",
): void {
  const { logId, headSeq, oldestSeq } = page;
  const metadata = { log_id: logId, oldest_seq: String(oldestSeq), head_seq: String(headSeq) };
  if (cursor.logId !== "" && cursor.logId !== logId) {
    throw failure(ErrorReason.LOG_REPLACED, `the cursor belongs to another log: ${remedy}`, {
      metadata,
    });
  }
  if (cursor.afterSeq > headSeq) {
    throw failure(ErrorReason.CURSOR_AHEAD, `the cursor ${cursor.afterSeq} is past the head ${headSeq}`, { metadata });
  }
  if (cursor.afterSeq > 0 && cursor.afterSeq + 1 < oldestSeq) {
    throw failure(ErrorReason.HISTORY_TRIMMED, `what was before ${oldestSeq} was removed: ${remedy}`, { metadata });
  }
}

/** `shown` stands for the page's events and ends where they end. */
function toPage(
  page: Page,
  shown: readonly StoredEvent[],
  place: PagePlace,
  end: { readonly throughSeq: number; readonly fixedSeq: number },
): RawEventPage {
  const { logId, oldestSeq } = page;
  const last = page.events.at(-1);
  const lastSeq = last?.seq ?? place.afterSeq;
  const hasMore = last !== undefined && lastSeq < end.throughSeq;
  return create(RawEventPageSchema, {
    events: shown.map(({ bytes }) => bytes),
    logId,
    // A delta that was merged after the list began may reach past its end.
    headSeq: BigInt(Math.max(end.throughSeq, lastSeq)),
    oldestSeq: BigInt(oldestSeq),
    nextPageToken: hasMore
      ? writeToken({ logId, afterSeq: lastSeq, throughSeq: end.fixedSeq, deltaEnd: readDeltaEnd(last) })
      : "",
  });
}

function writeToken(place: PagePlace): string {
  return Buffer.from(JSON.stringify([place.logId, place.afterSeq, place.throughSeq, place.deltaEnd ?? null])).toString(
    "base64url",
  );
}

function readToken(token: string): PagePlace {
  try {
    const parts: unknown = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    if (Array.isArray(parts) && parts.length === 4) {
      const [logId, afterSeq, throughSeq, deltaEnd] = parts as readonly unknown[];
      if (typeof logId === "string" && isSeq(afterSeq) && isSeq(throughSeq) && (deltaEnd === null || isSeq(deltaEnd))) {
        return { logId, afterSeq, throughSeq, deltaEnd: deltaEnd ?? undefined };
      }
    }
  } catch {
    // Answered below, like every token that is not ours.
  }
  throw new InvalidPageToken("not a token of this list");
}

function isSeq(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
