/**
 * Attach: a worker dials in, offers capacity, receives runs, appends events and renews its leases.
 *
 * Keeps L4: every batch carries (run, epoch, batch_no), and the store decides. Batches of one run are committed in the
 * order of the stream; batches of different runs share a group commit. Keeps L7: batches in flight are bounded.
 */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type RawAttachRequest,
  type RawAttachResponse,
  RawAttachResponseSchema,
} from "../../gen/atoll/internal/v1/raw_events_pb.ts";
import type { HeldRun, WorkerHello } from "../../gen/atoll/session/v1/attach_pb.ts";
import { ErrorReason, failure } from "../kernel/errors.ts";
import { FrameQueue } from "../kernel/stream/frame-queue.ts";
import { appendBatch } from "./append-batch.ts";
import type { AttachedWorker, HeldRunKey, RunDispatcher } from "./run-dispatcher.ts";
import type { SessionDeps } from "./session-deps.ts";

type Frame = RawAttachResponse["frame"];

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
            renew(dispatcher, worker, frame.value.held, queue);
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

function renew(
  dispatcher: RunDispatcher,
  worker: AttachedWorker,
  held: readonly HeldRun[],
  queue: FrameQueue<Frame>,
): void {
  const { lost, commands } = dispatcher.renew(worker, held.map(keyOf));
  queue.offer({
    case: "renewed",
    value: { $typeName: "atoll.session.v1.LeasesRenewed", lost: held.filter((run) => isIn(lost, run)) },
  });
  for (const command of commands) worker.command(command);
}

function keyOf(run: HeldRun): HeldRunKey {
  return { runId: run.runId, epoch: Number(run.epoch) };
}

function isIn(keys: readonly HeldRunKey[], run: HeldRun): boolean {
  return keys.some((key) => key.runId === run.runId && key.epoch === Number(run.epoch));
}
