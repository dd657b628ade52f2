// Logs of a store under test, as retention trims them and as their readers see them.
import { expect } from "vitest";
import type { StoredEvent } from "../../../services/kernel/event/stored-event.ts";
import type { TrimmedLog } from "../../../services/session/store/changes.ts";
import type { RunRow, SessionRow } from "../../../services/session/store/rows.ts";
import type { SessionStore } from "../../../services/session/store/session-store.ts";
import type { LogBounds } from "../../../services/session/store/upkeep.ts";
import {
  accept,
  append,
  batchOf,
  claimOne,
  decodeEvents,
  delta,
  lastBatchOf,
  type StoreUnderTest,
  scope,
} from "./store-fixture.ts";

export const keepAll: LogBounds = { keepFromMs: 0, maxEvents: 0, maxBytes: 0 };

const whole = { maxEvents: 1e6, maxBytes: 1e9 };

export function logsIn(test: StoreUnderTest) {
  /** Calls until every session was looked at. */
  async function trim(bounds: Partial<LogBounds>, maxRows = 1_000, maxSessions = 100): Promise<TrimmedLog[]> {
    const trimmed: TrimmedLog[] = [];
    let cursor = "";
    do {
      const done = await test.store.trimLogs({ bounds: { ...keepAll, ...bounds }, cursor, maxSessions, maxRows });
      trimmed.push(...done.trimmed);
      ({ cursor } = done);
    } while (cursor !== "");
    return trimmed;
  }

  async function getSession(sessionId: string): Promise<SessionRow> {
    const row = await test.store.getSession(scope, { sessionId });
    if (row === undefined) throw new Error("the session is not there");
    return row;
  }

  async function read(
    sessionId: string,
    range: Partial<Parameters<SessionStore["readEvents"]>[2]> = {},
  ): Promise<readonly StoredEvent[]> {
    const page = await test.store.readEvents(scope, sessionId, { afterSeq: 0, ...whole, ...range });
    if (page.kind !== "page") throw new Error("the session is not there");
    return page.events;
  }

  /** A run of 3 + `batches` × 3 + 1 events that has ended; each batch is a row. */
  async function finishRun(sessionId: string, batches = 2): Promise<RunRow> {
    await accept(test.store, sessionId);
    const { run } = await claimOne(test.store);
    for (let batchNo = 1; batchNo <= batches; batchNo++) {
      const events = ["a", "b", "c"].map((text) => delta(run.runId, text));
      await append(test.store, batchOf(run, batchNo, { events }));
    }
    await append(test.store, lastBatchOf(run, batches + 1));
    return run;
  }

  /** S1 over what a reader gets from the beginning; gives the events that are kept. */
  async function expectDense(sessionId: string): Promise<readonly StoredEvent[]> {
    const { oldestSeq, headSeq, trimmedAtMs } = await getSession(sessionId);
    const events = await read(sessionId);
    if (headSeq === 0) return events;
    expect(events.map(({ firstSeq }) => firstSeq)).toEqual([1, ...events.slice(0, -1).map(({ seq }) => seq + 1)]);
    expect(events.at(-1)?.seq).toBe(headSeq);
    if (oldestSeq <= 1) return events;
    const [first] = decodeEvents(events);
    expect(first).toMatchObject({ firstSeq: 1n, seq: BigInt(oldestSeq - 1) });
    expect(first?.body).toMatchObject({ case: "historyTrimmed", value: { count: BigInt(oldestSeq - 1) } });
    expect(Number(first?.time?.seconds)).toBe(Math.floor(trimmedAtMs / 1_000));
    return events.slice(1);
  }

  return { trim, getSession, read, finishRun, expectDense };
}
