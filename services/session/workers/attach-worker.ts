/**
 * Attach: a worker dials in, offers capacity, receives runs, appends events and renews its leases.
 *
 * Keeps L4: every batch carries (run, epoch, batch_no), and the store decides. Batches of one run are committed in the
 * order of the stream; batches of different runs share a group commit. Keeps L7: what is not answered yet, or whose answer nobody
 * reads, is bounded.
 */
import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type RawAttachRequest,
  type RawAttachResponse,
  RawAttachResponseSchema,
} from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import type { HeldRun, WorkerHello } from "../../../gen/atoll/session/v1/attach_pb.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { FrameQueue } from "../../kernel/stream/frame-queue.ts";
import type { SessionDeps } from "../session-deps.ts";
import { appendBatch } from "./append-batch.ts";
import type { AttachedWorker } from "./attached-workers.ts";
import { Places } from "./places.ts";
import type { RunDispatcher } from "./run-dispatcher.ts";
import { renewRunTokens } from "./run-tokens.ts";

type Said = RawAttachRequest["frame"];
type Frame = RawAttachResponse["frame"];

/** Batches of one stream whose answer was not read yet. */
const maxOpenBatches = 1_024;
/** Renewals of one stream whose answer was not read yet. A worker that reads no answers loses its leases. */
const maxOpenRenewals = 4;

export async function* attachWorker(
  deps: SessionDeps,
  dispatcher: RunDispatcher,
  requests: AsyncIterable<RawAttachRequest>,
  context: HandlerContext,
): AsyncGenerator<RawAttachResponse> {
  // Bounded by credits (offers), by runs (commands), and by places until they are read (answers).
  const queue = new FrameQueue<Frame>();
  const batches = new Places(maxOpenBatches);
  const renewals = new Places(maxOpenRenewals);
  const placesFor = ({ case: kind }: Said | Frame): Places | undefined => {
    if (kind === "batch" || kind === "accepted" || kind === "refused") return batches;
    return kind === "renew" || kind === "renewed" ? renewals : undefined;
  };
  const stop = (): void => queue.end();
  context.signal.addEventListener("abort", stop, { once: true });
  let worker: AttachedWorker | undefined;
  let isOver = false;
  const fail = (error: unknown): void => queue.end(error);
  const read = async (): Promise<void> => {
    for await (const { frame } of requests) {
      const wait = placesFor(frame)?.take();
      if (wait !== undefined) await wait;
      // Whoever left holds nothing any more: what it had said before must not renew its leases.
      if (isOver) return;
      if (frame.case === "hello") {
        if (worker !== undefined) throw outOfPlace("hello", "only the first frame may be one");
        worker = welcome(deps, dispatcher, frame.value, queue);
        continue;
      }
      if (worker === undefined) throw outOfPlace("frame", "the first one must be hello");
      switch (frame.case) {
        case "credits":
          dispatcher.addCredits(worker, frame.value.credits);
          break;
        case "renew":
          void renew(deps, dispatcher, worker, frame.value.held, queue).catch(fail);
          break;
        case "release":
          if (frame.value.run !== undefined) dispatcher.release(worker, frame.value.run);
          break;
        case "drain":
          dispatcher.drain(worker);
          break;
        case "batch":
          void appendBatch(deps, dispatcher, worker, frame.value).then((answer) => queue.offer(answer), fail);
          break;
        case undefined:
          throw outOfPlace("frame", "required");
      }
    }
  };
  void read().then(() => queue.end(), fail);
  try {
    for await (const frame of queue) {
      yield create(RawAttachResponseSchema, { frame });
      // The reader has come back: it has taken the frame.
      placesFor(frame)?.give();
    }
  } finally {
    isOver = true;
    batches.close();
    renewals.close();
    context.signal.removeEventListener("abort", stop);
    if (worker !== undefined) dispatcher.detach(worker);
  }
}

function outOfPlace(path: string, problem: string): Error {
  return failure(ErrorReason.FIELD_INVALID, `${path}: ${problem}`, { fields: [{ path, problem }] });
}

function welcome(
  deps: SessionDeps,
  dispatcher: RunDispatcher,
  hello: WorkerHello,
  queue: FrameQueue<Frame>,
): AttachedWorker {
  const worker: AttachedWorker = {
    workerId: hello.workerId,
    tenant: hello.tenant,
    agentIds: hello.agentIds,
    pool: hello.pool,
    labels: hello.labels,
    credits: hello.credits,
    isDraining: false,
    offer: (offer) => void queue.offer({ case: "offer", value: offer }),
    command: (command) => void queue.offer({ case: "command", value: command }),
    leave: (closesInMs) =>
      void queue.offer({ case: "drain", value: { $typeName: "atoll.session.v1.AttachDrain", closesInMs } }),
  };
  const { leaseTtlMs, renewIntervalMs } = deps.settings;
  // The welcome goes first: offers and commands may follow at once.
  const { lost, commands } = dispatcher.attach(worker, hello.held);
  queue.offer({
    case: "welcome",
    value: {
      $typeName: "atoll.session.v1.WorkerWelcome",
      instanceId: deps.instanceId,
      leaseTtlMs,
      renewIntervalMs,
      lost: [...lost],
    },
  });
  for (const command of commands) worker.command(command);
  deps.log.info(
    { workerId: hello.workerId, credits: hello.credits, held: hello.held.length, lost: lost.length },
    "worker attached",
  );
  return worker;
}

async function renew(
  deps: SessionDeps,
  dispatcher: RunDispatcher,
  worker: AttachedWorker,
  held: readonly HeldRun[],
  queue: FrameQueue<Frame>,
): Promise<void> {
  const { lost, tokensDue } = dispatcher.renew(worker, held);
  const tokens = tokensDue.length === 0 ? [] : await renewRunTokens(deps, tokensDue);
  queue.offer({ case: "renewed", value: { $typeName: "atoll.session.v1.LeasesRenewed", lost: [...lost], tokens } });
}
