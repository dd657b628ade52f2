/**
 * Attach: a worker dials in, offers capacity, receives runs, appends events and renews its leases.
 *
 * Keeps L4: every batch carries (run, epoch, batch_no), and the store decides. Batches of one run are committed in the
 * order of the stream; batches of different runs share a group commit. Keeps L7: batches in flight are bounded.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { EventSchema } from "../../gen/atoll/event/v1/event_pb.ts";
import { RunFailureSchema } from "../../gen/atoll/event/v1/run_events_pb.ts";
import {
  type RawAppendBatch,
  type RawAttachRequest,
  type RawAttachResponse,
  RawAttachResponseSchema,
} from "../../gen/atoll/internal/v1/raw_events_pb.ts";
import type { HeldRun, WorkerHello } from "../../gen/atoll/session/v1/attach_pb.ts";
import type { Clock } from "../kernel/clock.ts";
import { ErrorReason, failure, reasonName } from "../kernel/errors.ts";
import { checkWorkerEvent } from "../kernel/event/check-worker-event.ts";
import type { WorkerBatch } from "../kernel/store/changes.ts";
import { StoreUnavailable } from "../kernel/store/store-errors.ts";
import { FrameQueue } from "../kernel/stream/frame-queue.ts";
import { followUpOf } from "./follow-up.ts";
import type { AttachedWorker, HeldRunKey, RunDispatcher } from "./run-dispatcher.ts";
import type { SessionDeps } from "./session-deps.ts";

type Frame = RawAttachResponse["frame"];

/** Field number of atoll.event.v1.Event.run_finished. */
const runFinishedField = 37;
/** Batches of one stream that may wait for their commit. */
const maxBatchesInFlight = 1_024;

export async function* attachWorker(
  deps: SessionDeps,
  dispatcher: RunDispatcher,
  requests: AsyncIterable<RawAttachRequest>,
  context: HandlerContext,
): AsyncGenerator<RawAttachResponse> {
  // Bounded by credits (offers), by batches in flight (acknowledgements) and by runs (commands and renewals).
  const queue = new FrameQueue<Frame>();
  const stop = (): void => queue.end();
  context.signal.addEventListener("abort", stop, { once: true });
  let worker: AttachedWorker | undefined;
  const read = async (): Promise<void> => {
    try {
      let inFlight = 0;
      let landed = Promise.withResolvers<void>();
      for await (const { frame } of requests) {
        if (frame.case === "hello") {
          if (worker !== undefined) throw failure(ErrorReason.FIELD_INVALID, "hello: only the first frame may be one");
          worker = welcome(deps, dispatcher, frame.value, queue);
          continue;
        }
        if (worker === undefined) throw failure(ErrorReason.FIELD_INVALID, "frame: the first one must be hello");
        switch (frame.case) {
          case "credits":
            dispatcher.addCredits(worker, frame.value.credits);
            break;
          case "renew":
            queue.offer(renewed(dispatcher, worker, frame.value.held));
            break;
          case "release":
            if (frame.value.run !== undefined) dispatcher.release(keyOf(frame.value.run));
            break;
          case "drain":
            dispatcher.drain(worker);
            break;
          case "batch": {
            if (inFlight >= maxBatchesInFlight) await landed.promise;
            inFlight += 1;
            void appendBatch(deps, dispatcher, frame.value).then((answer) => {
              inFlight -= 1;
              landed.resolve();
              landed = Promise.withResolvers();
              queue.offer(answer);
            });
            break;
          }
          case undefined:
            throw failure(ErrorReason.FIELD_INVALID, "frame: required", {
              fields: [{ path: "frame", problem: "required" }],
            });
        }
      }
      queue.end();
    } catch (error) {
      queue.end(error);
    }
  };
  void read();
  try {
    for await (const frame of queue) yield create(RawAttachResponseSchema, { frame });
  } finally {
    context.signal.removeEventListener("abort", stop);
    if (worker !== undefined) dispatcher.detach(worker);
  }
}

function welcome(
  deps: SessionDeps,
  dispatcher: RunDispatcher,
  hello: WorkerHello,
  queue: FrameQueue<Frame>,
): AttachedWorker {
  const worker: AttachedWorker = {
    workerId: hello.workerId,
    agentIds: hello.agentIds,
    credits: hello.credits,
    isDraining: false,
    offer: (offer) => void queue.offer({ case: "offer", value: offer }),
    command: (command) => void queue.offer({ case: "command", value: command }),
    leave: (closesInMs) =>
      void queue.offer({ case: "drain", value: { $typeName: "atoll.session.v1.AttachDrain", closesInMs } }),
  };
  const { leaseTtlMs, renewIntervalMs } = deps.settings;
  const held = hello.held.map(keyOf);
  // The welcome goes first: offers and commands may follow at once.
  const { lost, commands } = dispatcher.attach(worker, held);
  queue.offer({
    case: "welcome",
    value: {
      $typeName: "atoll.session.v1.WorkerWelcome",
      instanceId: deps.instanceId,
      leaseTtlMs,
      renewIntervalMs,
      lost: hello.held.filter((run) => isIn(lost, run)),
    },
  });
  for (const command of commands) worker.command(command);
  deps.log.info(
    { workerId: hello.workerId, credits: hello.credits, held: held.length, lost: lost.length },
    "worker attached",
  );
  return worker;
}

function renewed(dispatcher: RunDispatcher, worker: AttachedWorker, held: readonly HeldRun[]): Frame {
  const { lost, commands } = dispatcher.renew(worker, held.map(keyOf));
  return {
    case: "renewed",
    value: {
      $typeName: "atoll.session.v1.LeasesRenewed",
      lost: held.filter((run) => isIn(lost, run)),
      commands: [...commands],
    },
  };
}

async function appendBatch(deps: SessionDeps, dispatcher: RunDispatcher, batch: RawAppendBatch): Promise<Frame> {
  const { sessionId, runId } = batch;
  const refused = (reason: ErrorReason, message: string): Frame => ({
    case: "refused",
    value: {
      $typeName: "atoll.session.v1.BatchRefused",
      runId,
      epoch: batch.epoch,
      batchNo: batch.batchNo,
      reason: reasonName(reason),
      message,
    },
  });
  const fenced = (message: string): Frame => {
    deps.log.warn({ runId, epoch: String(batch.epoch), batchNo: String(batch.batchNo) }, "a late write was refused");
    return refused(ErrorReason.EPOCH_FENCED, message);
  };
  const checked = checkBatch(batch, deps.clock);
  if (checked.kind === "refused") return refused(ErrorReason.EVENT_NOT_ALLOWED, checked.problem);
  const tenant = dispatcher.tenantOf(runId);
  if (tenant === undefined) return fenced("no worker holds the run any more");
  try {
    const outcome = await deps.store.appendBatch({
      tenant,
      sessionId,
      runId,
      epoch: Number(batch.epoch),
      batchNo: Number(batch.batchNo),
      events: batch.events,
      actedCommandId: Number(batch.actedCommandId),
      finish: checked.finish,
    });
    switch (outcome.kind) {
      case "appended":
        deps.bus.publish(outcome.appended);
        if (batch.actedCommandId > 0n) dispatcher.acted(runId, batch.actedCommandId);
        if (checked.finish !== undefined) dispatcher.finished(runId, outcome.freesNext);
        return accepted(batch, outcome);
      case "replayed":
        return accepted(batch, outcome);
      case "fenced":
        return fenced(`epoch ${outcome.epoch} owns the run`);
      case "finished":
        return refused(ErrorReason.RUN_FINISHED, "the run has its terminal event");
      case "out-of-order":
        return refused(ErrorReason.BATCH_OUT_OF_ORDER, `the next batch is ${outcome.expectedBatchNo}`);
      case "run-not-found":
        return refused(ErrorReason.RUN_NOT_FOUND, `no such run: ${runId}`);
    }
  } catch (error) {
    if (!(error instanceof StoreUnavailable))
      deps.log.error({ runId, error: String(error) }, "appending a batch failed");
    return refused(ErrorReason.STORE_UNAVAILABLE, "nothing was stored: send the batch again");
  }
}

function accepted(batch: RawAppendBatch, range: { readonly firstSeq: number; readonly lastSeq: number }): Frame {
  return {
    case: "accepted",
    value: {
      $typeName: "atoll.session.v1.BatchAccepted",
      runId: batch.runId,
      epoch: batch.epoch,
      batchNo: batch.batchNo,
      firstSeq: BigInt(range.firstSeq),
      lastSeq: BigInt(range.lastSeq),
    },
  };
}

type CheckedBatch =
  | { readonly kind: "allowed"; readonly finish: WorkerBatch["finish"] }
  | { readonly kind: "refused"; readonly problem: string };

function checkBatch({ events, runId }: RawAppendBatch, clock: Clock): CheckedBatch {
  if (events.length === 0) return { kind: "refused", problem: "events: at least one is required" };
  for (const [index, event] of events.entries()) {
    const check = checkWorkerEvent(event, runId);
    if (check.kind === "refused") return { kind: "refused", problem: `events[${index}]: ${check.problem}` };
    if (check.body !== runFinishedField) continue;
    if (index !== events.length - 1)
      return { kind: "refused", problem: `events[${index}]: run_finished must be the last` };
    return readFinish(event, index, clock);
  }
  return { kind: "allowed", finish: undefined };
}

function readFinish(event: Uint8Array, index: number, clock: Clock): CheckedBatch {
  const { body } = fromBinary(EventSchema, event);
  if (body.case !== "runFinished" || body.value.status === 0) {
    return { kind: "refused", problem: `events[${index}]: run_finished needs a status` };
  }
  const { status, failure: reason } = body.value;
  return {
    kind: "allowed",
    finish: {
      status,
      failure: reason === undefined ? new Uint8Array() : toBinary(RunFailureSchema, reason),
      followUp: followUpOf(clock),
    },
  };
}

function keyOf(run: HeldRun): HeldRunKey {
  return { runId: run.runId, epoch: Number(run.epoch) };
}

function isIn(keys: readonly HeldRunKey[], run: HeldRun): boolean {
  return keys.some((key) => key.runId === run.runId && key.epoch === Number(run.epoch));
}
