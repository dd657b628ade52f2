/**
 * The calls of a run that its log leaves without an outcome.
 *
 * All of the run is read: a call of any step can be open, since a worker may be another program than ours, and one that had
 * started stays open when its step is discarded. Backwards from the head, so that where the log is damaged the newest events
 * are those that are known.
 */

import { fromBinary } from "@bufbuild/protobuf";
import { EventSchema } from "../../../../../gen/atoll/event/v1/event_pb.ts";
import type { StoredEvent } from "../../../../kernel/event/stored-event.ts";
import { readEventRun } from "../../../../kernel/event/wire/read-event-run.ts";
import { LogDamaged } from "../../../../kernel/store/store-errors.ts";
import { isOfCalls, OpenCalls } from "../../../rules/open-calls.ts";
import type { StoredSession } from "../life/session-columns.ts";
import type { SessionTables } from "../session-tables.ts";
import type { StoredRun } from "./run-columns.ts";

/** Numbers that are read at a time. */
const pageEvents = 256;

/** From the log only when the store does not know it: after it was opened anew (known-calls.ts). */
export function openCallsOf(tables: SessionTables, session: StoredSession, run: StoredRun): OpenCalls {
  return tables.calls.find(run.row.runId) ?? readOpenCalls(tables, session, run);
}

/** Of a log that is damaged, what stands behind the damage: a run must end all the same (R2). */
function readOpenCalls({ events }: SessionTables, session: StoredSession, run: StoredRun): OpenCalls {
  const isOwn = ({ bytes }: StoredEvent): boolean => isOfCalls(bytes) && readEventRun(bytes) === run.row.runId;
  const pages: StoredEvent[][] = [];
  const floor = Math.max(run.row.queuedSeq, session.row.oldestSeq, 1) - 1;
  let throughSeq = session.row.headSeq;
  try {
    while (throughSeq > floor) {
      const range = { afterSeq: Math.max(floor, throughSeq - pageEvents), throughSeq, maxEvents: pageEvents };
      const page = events.read(session, { ...range, maxBytes: Number.MAX_SAFE_INTEGER });
      pages.push(page.filter(isOwn));
      throughSeq = (page[0]?.firstSeq ?? 1) - 1;
    }
  } catch (error) {
    if (!(error instanceof LogDamaged)) throw error;
  }
  const calls = new OpenCalls();
  for (const { bytes } of pages.reverse().flat()) calls.apply(fromBinary(EventSchema, bytes));
  return calls;
}
