/**
 * The events of a run's last step that tell of its calls: the only ones of which an outcome may be missing.
 *
 * Read backwards from the head, a few events at a time, so that what is read is the length of the step, not of the log.
 */

import type { StoredEvent } from "../../../../kernel/event/stored-event.ts";
import { readEventRun } from "../../../../kernel/event/wire/read-event-run.ts";
import { LogDamaged } from "../../../../kernel/store/store-errors.ts";
import { beginsStep, isOfCalls } from "../../../rules/open-calls.ts";
import type { StoredSession } from "../life/session-columns.ts";
import type { SessionTables } from "../session-tables.ts";
import type { StoredRun } from "./run-columns.ts";

/** Events that are read at a time. */
const pageEvents = 64;

/** In order. Of a log that is damaged there, what stands behind the damage: a run must end all the same (R2). */
export function readLastStep({ events }: SessionTables, session: StoredSession, run: StoredRun): Uint8Array[] {
  const found: Uint8Array[] = [];
  const floor = Math.max(run.row.queuedSeq, session.row.oldestSeq, 1) - 1;
  let throughSeq = session.row.headSeq;
  try {
    while (throughSeq > floor) {
      const range = { afterSeq: Math.max(floor, throughSeq - pageEvents), throughSeq, maxEvents: pageEvents };
      const page = events.read(session, { ...range, maxBytes: Number.MAX_SAFE_INTEGER });
      const isOwn = ({ bytes }: StoredEvent): boolean => readEventRun(bytes) === run.row.runId;
      const begin = page.findLastIndex((event) => beginsStep(event.bytes) && isOwn(event));
      const ofCalls = page.slice(begin + 1).filter((event) => isOfCalls(event.bytes) && isOwn(event));
      found.unshift(...ofCalls.map(({ bytes }) => bytes));
      if (begin >= 0) break;
      throughSeq = (page[0]?.firstSeq ?? 1) - 1;
    }
  } catch (error) {
    if (!(error instanceof LogDamaged)) throw error;
  }
  return found;
}
