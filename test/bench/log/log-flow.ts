/** Appends of one worker to many sessions at once, until their watchers have seen everything. */
import { randomUUID } from "node:crypto";
import type { RawAttachRequest } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import { readEventRange } from "../../../services/kernel/event/wire/read-event-range.ts";
import { FrameQueue } from "../../../services/kernel/stream/frame-queue.ts";
import { DeltaWriter, runFinished } from "./log-load.ts";
import { createSessions, newMessage, type RemoteSession } from "./remote-session.ts";

/** Of a new session with one run: message, title, queued, started. */
const eventsBeforeDeltas = 4;

/** Batches of a run that wait for their answer, as a real worker bounds them. */
const batchesInFlight = 128;

export interface Flow {
  readonly sessionIds: readonly string[];
  readonly sessions: number;
  readonly events: number;
  readonly perSecond: number;
  readonly cpuUsPerEvent: number;
}

/**
 * Deltas from a worker's Attach stream to the events that a Watch stream delivered: one run and one watcher a session,
 * all runs on one Attach stream, all watchers on one Watch stream, each on a connection of its own.
 */
export async function measureFlow(remote: RemoteSession, sessions: number, eventsEach: number): Promise<Flow> {
  const ids = await createSessions(remote, sessions);
  const control = new AbortController();
  const watched = watchAll(remote, ids, eventsEach, control.signal);
  await watched.opened;
  const worker = attach(remote, sessions, control.signal);
  for (const id of ids) await remote.client.submitMessage(newMessage(id));
  const runs = await worker.offered;
  const [startedMs, startedCpuMs] = [performance.now(), remote.cpuMs()];
  await Promise.all(runs.map((run) => worker.write(run, eventsEach)));
  await watched.done;
  const ms = performance.now() - startedMs;
  const cpuMs = remote.cpuMs() - startedCpuMs;
  await Promise.all(runs.map((run) => worker.end(run)));
  control.abort();
  const events = sessions * eventsEach;
  return {
    sessionIds: ids,
    sessions,
    events,
    perSecond: (events * 1_000) / ms,
    cpuUsPerEvent: (cpuMs * 1_000) / events,
  };
}

function watchAll({ open }: RemoteSession, ids: readonly string[], eventsEach: number, signal: AbortSignal) {
  const opened = Promise.withResolvers<void>();
  const done = Promise.withResolvers<void>();
  const requests = new FrameQueue<{ frame: { case: "create"; value: { watchId: bigint; target: object } } }>();
  for (const [index, id] of ids.entries()) {
    const target = { case: "sessionId" as const, value: id };
    requests.offer({ frame: { case: "create", value: { watchId: BigInt(index + 1), target } } });
  }
  const listen = async (): Promise<void> => {
    let created = 0;
    let finished = 0;
    const seen = new Map<bigint, number>();
    for await (const { frame } of open().watch(requests as never, { signal })) {
      if (frame.case === "created" && ++created === ids.length) opened.resolve();
      if (frame.case !== "batch") continue;
      const { watchId, events } = frame.value;
      const last = events.at(-1);
      if (last === undefined) continue;
      const before = seen.get(watchId) ?? 0;
      const seq = readEventRange(last).seq;
      seen.set(watchId, seq);
      const whole = eventsBeforeDeltas + eventsEach;
      if (before < whole && seq >= whole && ++finished === ids.length) done.resolve();
    }
  };
  listen().catch((error: unknown) => {
    if (!signal.aborted) done.reject(error);
  });
  return { opened: opened.promise, done: done.promise };
}

interface TakenRun {
  readonly sessionId: string;
  readonly runId: string;
  readonly epoch: bigint;
  batchNo: bigint;
  unanswered: number;
  answered: PromiseWithResolvers<void>;
}

function attach({ open }: RemoteSession, count: number, signal: AbortSignal) {
  const said = new FrameQueue<{ frame: RawAttachRequest["frame"] }>();
  const runs = new Map<string, TakenRun>();
  const offered = Promise.withResolvers<TakenRun[]>();
  said.offer({
    frame: {
      case: "hello",
      value: {
        $typeName: "atoll.session.v1.WorkerHello",
        workerId: `bench-${randomUUID()}`,
        agentIds: [],
        tenant: "",
        pool: "",
        labels: {},
        credits: count,
        held: [],
        version: "bench",
      },
    },
  });
  const renewal = setInterval(() => {
    const held = [...runs.values()].map(({ sessionId, runId, epoch }) => ({
      $typeName: "atoll.session.v1.HeldRun" as const,
      sessionId,
      runId,
      epoch,
      ackedBatchNo: 0n,
    }));
    said.offer({ frame: { case: "renew", value: { $typeName: "atoll.session.v1.RenewLeases", held } } });
  }, 1_000);
  signal.addEventListener("abort", () => clearInterval(renewal), { once: true });
  const listen = async (): Promise<void> => {
    for await (const { frame } of open().attach(said, { signal })) {
      if (frame.case === "offer" && frame.value.run !== undefined) {
        const { sessionId, runId, epoch } = frame.value.run;
        const answered = Promise.withResolvers<void>();
        runs.set(runId, { sessionId, runId, epoch, batchNo: 0n, unanswered: 0, answered });
        if (runs.size === count) offered.resolve([...runs.values()]);
      } else if (frame.case === "accepted") {
        const run = runs.get(frame.value.runId);
        if (run === undefined) continue;
        run.unanswered -= 1;
        run.answered.resolve();
      } else if (frame.case === "refused") {
        throw new Error(`a batch was refused: ${frame.value.reason} ${frame.value.message}`);
      }
    }
  };
  listen().catch((error: unknown) => {
    if (!signal.aborted) offered.reject(error);
    for (const run of runs.values()) run.answered.reject(error);
  });
  const answers = async (run: TakenRun, most: number): Promise<void> => {
    while (run.unanswered > most) {
      run.answered = Promise.withResolvers();
      await run.answered.promise;
    }
  };
  const say = async (run: TakenRun, events: Uint8Array[]): Promise<void> => {
    const { sessionId, runId, epoch } = run;
    run.batchNo += 1n;
    run.unanswered += 1;
    const batch = { events, sessionId, runId, epoch, batchNo: run.batchNo, actedCommandId: 0n };
    said.offer({ frame: { case: "batch", value: { $typeName: "atoll.internal.v1.RawAppendBatch", ...batch } } });
    await answers(run, batchesInFlight - 1);
  };
  return {
    offered: offered.promise,
    async write(run: TakenRun, events: number) {
      const deltas = new DeltaWriter(run.runId);
      for (let written = 0; written < events; ) {
        const batch = deltas.batch();
        written += batch.length;
        await say(run, batch);
      }
    },
    /** Resolves when the run has ended: another worker would be offered it otherwise. */
    async end(run: TakenRun) {
      await say(run, [runFinished(run.runId)]);
      await answers(run, 0);
    },
  };
}
