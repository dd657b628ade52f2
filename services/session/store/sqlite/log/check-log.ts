/** Checks one session's log against its rows. Keeps S1 and R2: see check-logs.ts. */
import type { StoredEvent } from "../../../../kernel/event/stored-event.ts";
import { LogDamaged } from "../../../../kernel/store/store-errors.ts";
import type { LogFinding } from "../../log-check.ts";
import type { RunState, SessionRow } from "../../rows.ts";
import { decodeEvent, type EventRow, unpackRow } from "./event-rows.ts";

/** How a run stands in its own row. */
export interface RunEnd {
  readonly runId: string;
  readonly state: RunState;
  /** 0 until it has ended. */
  readonly finishedSeq: number;
}

/** The first thing that is wrong, and how many events were sound before it. */
export function checkLog(
  session: SessionRow,
  rows: Iterable<EventRow>,
  runs: readonly RunEnd[],
): { readonly events: number; readonly finding?: Pick<LogFinding, "seq" | "problem"> } {
  const log = new LogReader(session);
  try {
    for (const row of rows) log.take(row);
    log.end();
    checkRuns(session, runs, log.ends);
  } catch (error) {
    if (!(error instanceof LogDamaged)) throw error;
    return { events: log.events, finding: { seq: error.seq, problem: error.problem } };
  }
  return { events: log.events };
}

class LogReader {
  /** The seq of the terminal event of each run that has one. */
  readonly ends = new Map<string, number>();
  events = 0;
  readonly #session: SessionRow;
  #next: number;
  #bytes = 0;

  constructor(session: SessionRow) {
    this.#session = session;
    this.#next = Math.max(1, session.oldestSeq);
  }

  take(row: EventRow): void {
    this.#expect(row);
    for (const event of unpackRow(row, this.#session.sessionId)) this.#takeEvent(event);
    this.#bytes += row.events.length;
  }

  /** Compares what stands beside the log. */
  end(): void {
    const { sessionId, headSeq, oldestSeq, compactedSeq, logBytes } = this.#session;
    // One past the head when retention left nothing.
    const [first, last] = headSeq === 0 ? [0, 0] : [1, headSeq + 1];
    if (oldestSeq < first || oldestSeq > last) {
      throw new LogDamaged(sessionId, 0, `the oldest event is said to be ${oldestSeq}, the head ${headSeq}`);
    }
    if (this.#next <= headSeq) {
      throw new LogDamaged(sessionId, this.#next, `the events up to ${headSeq} are missing`);
    }
    if (this.#next > headSeq + 1) {
      throw new LogDamaged(sessionId, headSeq + 1, `the head is ${headSeq}, and there are events behind it`);
    }
    if (compactedSeq > headSeq) throw new LogDamaged(sessionId, 0, `it is said to be merged up to ${compactedSeq}`);
    if (logBytes !== this.#bytes) {
      throw new LogDamaged(sessionId, 0, `the log has ${this.#bytes} bytes and is said to have ${logBytes}`);
    }
  }

  #takeEvent(event: StoredEvent): void {
    this.#expect(event);
    const { sessionId } = this.#session;
    const { runId, body } = decodeEvent(event, sessionId);
    if (body.case === "runFinished") {
      const end = this.ends.get(runId);
      if (end !== undefined) throw new LogDamaged(sessionId, event.seq, `run ${runId} has ended before, with ${end}`);
      this.ends.set(runId, event.seq);
    }
    this.#next = event.seq + 1;
    this.events += 1;
  }

  #expect({ firstSeq }: { readonly firstSeq: number }): void {
    if (firstSeq !== this.#next) {
      throw new LogDamaged(this.#session.sessionId, this.#next, `event ${firstSeq} stands in its place`);
    }
  }
}

function checkRuns(session: SessionRow, runs: readonly RunEnd[], ends: ReadonlyMap<string, number>): void {
  const { sessionId, oldestSeq, activeRunId, queuedRuns } = session;
  for (const { runId, state, finishedSeq } of runs) {
    const end = ends.get(runId) ?? 0;
    // An end that retention has removed can't be looked at.
    const expected = state === "finished" && finishedSeq >= oldestSeq ? finishedSeq : 0;
    if (end === expected) continue;
    const problem =
      expected === 0
        ? `run ${runId} is ${state} and has ended here`
        : `run ${runId} should end with event ${expected} and ${end === 0 ? "has no end" : `ends with ${end}`}`;
    throw new LogDamaged(sessionId, expected || end, problem);
  }
  const running = runs.filter(({ state }) => state === "running").map(({ runId }) => runId);
  if (running.join() !== activeRunId) {
    throw new LogDamaged(sessionId, 0, `its run is said to be "${activeRunId}" and is "${running.join()}"`);
  }
  const queued = runs.filter(({ state }) => state === "queued").length;
  if (queued !== queuedRuns) throw new LogDamaged(sessionId, 0, `${queuedRuns} runs are said to wait, ${queued} do`);
}
