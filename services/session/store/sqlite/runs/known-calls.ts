/**
 * The calls without an outcome of the runs at work, from the first claim of each: who ends a run seldom has to read its log.
 *
 * Keeps: what is here is what the log says. One process owns the file, every batch that is appended tells it here, inside its
 * transaction, and a rollback forgets everything. A run that is not here is not known: its log says it. Keeps L7: by bounds.
 */
import type { Event } from "../../../../../gen/atoll/event/v1/event_pb.ts";
import { OpenCalls } from "../../../rules/open-calls.ts";

const maxRuns = 16_384;
/** Of one run. Our worker has at most a model's calls of one step open, under ids of a few characters. */
const maxCalls = 256;
const maxIdCharacters = 256;

export class KnownCalls {
  private readonly byRun = new Map<string, OpenCalls>();

  /** A run that nobody has worked on yet. */
  begin(runId: string): void {
    // All at once: to keep an order would cost each batch.
    if (this.byRun.size >= maxRuns) this.forget();
    this.byRun.set(runId, new OpenCalls());
  }

  /** Undefined when it is not known what is open. */
  find(runId: string): OpenCalls | undefined {
    return this.byRun.get(runId);
  }

  /** Takes a batch's events of calls (WorkerBatch.callEvents). */
  apply(runId: string, events: readonly Event[]): void {
    if (events.length === 0) return;
    const calls = this.byRun.get(runId);
    if (calls === undefined) return;
    for (const event of events) calls.apply(event);
    const { all } = calls;
    if (all.length > maxCalls || all.some(({ callId }) => callId.length > maxIdCharacters)) this.end(runId);
  }

  /** For a run that has ended, or is gone. */
  end(runId: string): void {
    this.byRun.delete(runId);
  }

  forget(): void {
    this.byRun.clear();
  }
}
