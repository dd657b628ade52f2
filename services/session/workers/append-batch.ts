/**
 * Appends one batch of a worker's events, and says how it was answered.
 *
 * Keeps L4: the store compares the epoch and the batch's number; what it refuses is told with its reason. What reaches the
 * store has passed `check-worker-event`.
 */
import { toBinary } from "@bufbuild/protobuf";
import type { Event } from "../../../gen/atoll/event/v1/event_pb.ts";
import { RunFailureSchema } from "../../../gen/atoll/event/v1/run_events_pb.ts";
import type { RawAppendBatch, RawAttachResponse } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import type { Clock } from "../../kernel/clock.ts";
import { ErrorReason } from "../../kernel/errors.ts";
import { checkWorkerEvent } from "../../kernel/event/check-worker-event.ts";
import { StoreUnavailable } from "../../kernel/store/store-errors.ts";
import { isCallEvent } from "../rules/open-calls.ts";
import { followUpOf } from "../runs/follow-up.ts";
import type { SessionDeps } from "../session-deps.ts";
import type { WorkerBatch } from "../store/changes.ts";
import type { AttachedWorker } from "./attached-workers.ts";
import type { RunDispatcher } from "./run-dispatcher.ts";

/** How a batch is answered. */
export type BatchAnswer = Extract<RawAttachResponse["frame"], { readonly case: "accepted" | "refused" }>;

/** Never rejects: a failure is answered as STORE_UNAVAILABLE, and the worker sends the batch again. */
export async function appendBatch(
  deps: SessionDeps,
  dispatcher: RunDispatcher,
  worker: AttachedWorker,
  batch: RawAppendBatch,
): Promise<BatchAnswer> {
  try {
    return await append(deps, dispatcher, worker, batch);
  } catch (error) {
    if (!(error instanceof StoreUnavailable))
      deps.log.error({ runId: batch.runId, error: String(error) }, "appending a batch failed");
    return refused(batch, ErrorReason.STORE_UNAVAILABLE, "nothing was stored: send the batch again");
  }
}

async function append(
  deps: SessionDeps,
  dispatcher: RunDispatcher,
  worker: AttachedWorker,
  batch: RawAppendBatch,
): Promise<BatchAnswer> {
  const { sessionId, runId } = batch;
  const fenced = (message: string): BatchAnswer => {
    deps.log.warn({ runId, epoch: String(batch.epoch), batchNo: String(batch.batchNo) }, "a late write was refused");
    return refused(batch, ErrorReason.EPOCH_FENCED, message);
  };
  const checked = checkBatch(batch, deps.clock);
  if (checked.kind === "refused") return refused(batch, ErrorReason.EVENT_NOT_ALLOWED, checked.problem);
  const lease = dispatcher.leaseOf(worker, batch);
  if (lease === undefined) return fenced("this stream does not hold the run under this epoch");
  const outcome = await deps.store.appendBatch({
    tenant: lease.tenant,
    sessionId,
    runId,
    epoch: Number(batch.epoch),
    batchNo: Number(batch.batchNo),
    events: batch.events,
    actedCommandId: Number(batch.actedCommandId),
    readMessageIds: checked.readMessageIds,
    callEvents: checked.callEvents,
    finish: checked.finish,
  });
  switch (outcome.kind) {
    case "appended":
      deps.bus.publish(outcome.appended);
      dispatcher.acted(runId, { actedCommandId: batch.actedCommandId, readMessageIds: checked.readMessageIds });
      if (checked.finish !== undefined) dispatcher.finished(runId, outcome.freesNext);
      return accepted(batch, outcome);
    case "replayed":
      return accepted(batch, outcome);
    case "fenced":
      return fenced(`epoch ${outcome.epoch} owns the run`);
    case "finished":
      return refused(batch, ErrorReason.RUN_FINISHED, "the run has its terminal event");
    case "out-of-order":
      return refused(batch, ErrorReason.BATCH_OUT_OF_ORDER, `the next batch is ${outcome.expectedBatchNo}`);
    case "run-not-found":
      return refused(batch, ErrorReason.RUN_NOT_FOUND, `no such run: ${runId}`);
  }
}

function refused({ runId, epoch, batchNo }: RawAppendBatch, reason: ErrorReason, message: string): BatchAnswer {
  return {
    case: "refused",
    value: {
      $typeName: "atoll.session.v1.BatchRefused",
      runId,
      epoch,
      batchNo,
      reason,
      message,
    },
  };
}

function accepted(batch: RawAppendBatch, range: { readonly firstSeq: number; readonly lastSeq: number }): BatchAnswer {
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
  | ({ readonly kind: "allowed" } & Pick<WorkerBatch, "finish" | "readMessageIds" | "callEvents">)
  | { readonly kind: "refused"; readonly problem: string };

function checkBatch({ events, runId }: RawAppendBatch, clock: Clock): CheckedBatch {
  if (events.length === 0) return { kind: "refused", problem: "events: at least one is required" };
  const readMessageIds: string[] = [];
  const callEvents: Event[] = [];
  for (const [index, event] of events.entries()) {
    const check = checkWorkerEvent(event, runId);
    if (check.kind === "refused") return { kind: "refused", problem: `events[${index}]: ${check.problem}` };
    const { decoded } = check;
    if (decoded === undefined) continue;
    if (decoded.body.case === "stepStarted") readMessageIds.push(...decoded.body.value.messageIds);
    if (isCallEvent(decoded)) callEvents.push(decoded);
    if (decoded.body.case !== "runFinished") continue;
    if (index !== events.length - 1)
      return { kind: "refused", problem: `events[${index}]: run_finished must be the last` };
    const { status, failure: reason } = decoded.body.value;
    if (status === 0) return { kind: "refused", problem: `events[${index}]: run_finished needs a status` };
    const failure = reason === undefined ? new Uint8Array() : toBinary(RunFailureSchema, reason);
    return { kind: "allowed", readMessageIds, callEvents, finish: { status, failure, followUp: followUpOf(clock) } };
  }
  return { kind: "allowed", readMessageIds, callEvents, finish: undefined };
}
