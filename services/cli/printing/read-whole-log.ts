/**
 * A session's whole log, page by page, as one dense list of events.
 *
 * Keeps S1 over the borders of pages: what the log has merged meanwhile begins before the border (S2), and only its new
 * part is given out. Keeps L7: one page is in memory, about 1 MiB.
 */
import type { Client } from "@connectrpc/connect";
import type { Event } from "../../../gen/atoll/event/v1/event_pb.ts";
import type { SessionService } from "../../../gen/atoll/session/v1/session_service_pb.ts";
import { byteEndOf, deltaOf, restOfDelta } from "./rest-of-delta.ts";

/** The log does not give what it promises; what was read so far is not the whole. */
export class LogBroken extends Error {
  override readonly name = "LogBroken";
}

/** Ends at the head of the moment in which it begins. Throws what GetSnapshot throws, and LogBroken. */
export async function* readWholeLog(
  client: Pick<Client<typeof SessionService>, "getSnapshot">,
  sessionId: string,
): AsyncGenerator<readonly Event[]> {
  let last: Event | undefined;
  let pageToken = "";
  do {
    const page = await client.getSnapshot({ sessionId, pageToken });
    const events: Event[] = [];
    for (const event of page.events) {
      last = follow(last, event);
      events.push(last);
    }
    yield events;
    pageToken = page.nextPageToken;
    if (pageToken === "" && (last?.seq ?? 0n) < page.headSeq) {
      throw new LogBroken(`the log ended at event ${last?.seq ?? 0n}, before its head ${page.headSeq}`);
    }
  } while (pageToken !== "");
}

/** The event, or its part that is new after `last`. */
function follow(last: Event | undefined, event: Event): Event {
  const next = (last?.seq ?? 0n) + 1n;
  if (event.firstSeq === next) return event;
  const rest = last !== undefined && event.firstSeq < next && event.seq >= next ? restOf(last, event) : undefined;
  if (rest === undefined) throw new LogBroken(`event ${event.firstSeq}..${event.seq} stands where ${next} should`);
  return rest;
}

/** What a merged delta says after `last`, the delta in its middle; undefined when `last` is none of its parts. */
function restOf(last: Event, merged: Event): Event | undefined {
  const before = deltaOf(last);
  if (before === undefined || before.blockId !== deltaOf(merged)?.blockId) return undefined;
  return restOfDelta(merged, { seq: last.seq, byteEnd: byteEndOf(before) });
}
