/** A worker for random schedules: it obeys, reads, says batches and keeps them until they are answered. */
import type { judgeBatch } from "./judge-batch.ts";
import type { StoreWorld } from "./store-world.fixture.ts";
import { type Batch, cancelled, completed } from "./world-facts.fixture.ts";

/** What a worker has of a run. */
export interface Work {
  readonly runId: number;
  readonly epoch: number;
  batchNo: number;
  readonly unacked: Batch[];
  readonly unread: number[];
  readonly read: Set<number>;
  heard: number;
  acted: number;
  isCancelled: boolean;
  /** Batches until the model has said its word. */
  left: number;
  isOver: boolean;
}

export type Told =
  | { readonly kind: "offer"; readonly runId: number; readonly epoch: number }
  | { readonly kind: "commands"; readonly runId: number }
  | { readonly kind: "answer"; readonly batch: Batch; readonly verdict: Verdict }
  | { readonly kind: "lost"; readonly runId: number; readonly epoch: number };

export type Verdict = ReturnType<typeof judgeBatch>["kind"];

export interface WorldWorker {
  isFrozen: boolean;
  isAttached: boolean;
  /** When its stream broke; void while it is attached. */
  cutAtMs: number;
  readonly work: Map<number, Work>;
  /** Frames on their way, in order; a stream that breaks loses them. */
  inbox: Told[];
  outbox: Batch[];
}

const batchesAStep = 2;

export function newWorker(): WorldWorker {
  return { isFrozen: false, isAttached: true, cutAtMs: 0, work: new Map(), inbox: [], outbox: [] };
}

export function hear(store: StoreWorld, worker: WorldWorker): void {
  if (worker.isFrozen) return;
  for (const told of worker.inbox.splice(0)) {
    const work = worker.work.get("runId" in told ? told.runId : told.batch.runId);
    switch (told.kind) {
      case "offer":
        worker.work.set(told.runId, begin(store, told.runId, told.epoch));
        break;
      case "commands":
        if (work !== undefined) obey(store, work);
        break;
      case "lost":
        if (work?.epoch === told.epoch) worker.work.delete(told.runId);
        break;
      case "answer":
        if (work !== undefined && work.epoch === told.batch.epoch) take(worker, work, told.batch, told.verdict);
        break;
    }
  }
}

/** What a new holder finds in the log. */
function begin(store: StoreWorld, runId: number, epoch: number): Work {
  const read = new Set(store.readOf(runId));
  const unread = store.run(runId).messageIds.filter((id) => !read.has(id));
  const blank = { batchNo: 0, unacked: [], heard: 0, acted: 0, isCancelled: false, left: 0, isOver: false };
  return { ...blank, runId, epoch, unread, read };
}

function obey(store: StoreWorld, work: Work): void {
  for (const { commandId, kind, messageId } of store.run(work.runId).commands) {
    if (kind === "cancel") work.isCancelled = true;
    if (commandId <= work.heard) continue;
    work.heard = commandId;
    const id = Number(messageId);
    if (kind === "steer" && !work.read.has(id) && !work.unread.includes(id)) work.unread.push(id);
  }
}

function take(worker: WorldWorker, work: Work, batch: Batch, verdict: Verdict): void {
  switch (verdict) {
    case "append":
    case "replayed":
      while (work.unacked[0] !== undefined && work.unacked[0].batchNo <= batch.batchNo) work.unacked.shift();
      if (batch.ends !== 0) worker.work.delete(work.runId);
      return;
    case "out-of-order":
      if (work.unacked.includes(batch)) worker.outbox.push(...work.unacked);
      return;
    case "fenced":
    case "finished":
      worker.work.delete(work.runId);
  }
}

/** The next batch of one of its runs; undefined when it has nothing to say. */
export function say(worker: WorldWorker, pick: number): Batch | undefined {
  if (worker.isFrozen) return undefined;
  const open = [...worker.work.values()].filter(({ isOver }) => !isOver);
  const work = open[pick % Math.max(open.length, 1)];
  if (work === undefined) return undefined;
  const content = sayNext(work);
  work.batchNo += 1;
  const { runId, epoch, batchNo, acted } = work;
  const batch = { runId, epoch, batchNo, acted, ...content };
  work.unacked.push(batch);
  if (worker.isAttached) worker.outbox.push(batch);
  return batch;
}

function sayNext(work: Work): Pick<Batch, "reads" | "ends"> {
  // Whoever works on every third run does not stop when it is asked to.
  const isDeaf = work.runId % 3 === 2;
  if (work.isCancelled && isDeaf) return { reads: [], ends: 0 };
  if (work.isCancelled) {
    work.isOver = true;
    return { reads: [], ends: cancelled };
  }
  if (work.left > 0) {
    work.left -= 1;
    return { reads: [], ends: 0 };
  }
  // All that it has heard of is read by this batch, or was before.
  work.acted = work.heard;
  const reads = work.unread.splice(0);
  if (reads.length === 0) {
    work.isOver = true;
    return { reads, ends: completed };
  }
  for (const id of reads) work.read.add(id);
  work.left = batchesAStep;
  return { reads, ends: 0 };
}
