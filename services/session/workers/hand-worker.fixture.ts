/** A worker that a test holds in its hands: it says the frames that it is told to say, over the real Attach stream. */

import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { onTestFinished } from "vitest";
import { Scope as AuthScope } from "../../../gen/atoll/auth/v1/options_pb.ts";
import type { RawAttachRequest, RawAttachResponse, RawRunOffer } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import type { HeldRun } from "../../../gen/atoll/session/v1/attach_pb.ts";
import { as } from "../../../test/support/session-service.ts";
import { type EventBody, encodeEvent } from "../../kernel/event/encode-event.ts";
import { RawSessionService } from "../../kernel/rpc/hops/raw-session-service.ts";
import { FrameQueue } from "../../kernel/stream/frame-queue.ts";
import type { WorkerReach } from "../rules/place-run.ts";

type Said = RawAttachRequest["frame"];
type Heard = RawAttachResponse["frame"];
type HeardCase = Exclude<Heard["case"], undefined>;

export interface HandWorker {
  readonly say: (frame: Said) => void;
  /** The next frame of this kind that was not taken yet. */
  readonly hear: <C extends HeardCase>(kind: C) => Promise<Extract<Heard, { case: C }>["value"]>;
  /** Frames of this kind that wait to be taken. */
  readonly waiting: (kind: HeardCase) => number;
  /** Batches from now on say that the worker has acted on the commands up to this one. */
  readonly act: (commandId: bigint) => void;
  /** Appends events under an offer's epoch. */
  readonly append: (offer: RawRunOffer, batchNo: number, ...bodies: readonly EventBody[]) => void;
  /** The same with events that the test has encoded itself. */
  readonly appendEncoded: (offer: RawRunOffer, batchNo: number, ...events: readonly Uint8Array[]) => void;
  readonly renew: (...offers: readonly RawRunOffer[]) => void;
  /** Takes no more frames off the stream until what it gives is called. */
  readonly stopReading: () => () => void;
  /** Breaks the stream. */
  readonly cut: () => void;
}

export function heldOf({ run }: RawRunOffer): HeldRun {
  return {
    $typeName: "atoll.session.v1.HeldRun",
    sessionId: run?.sessionId ?? "",
    runId: run?.runId ?? "",
    epoch: run?.epoch ?? 0n,
    ackedBatchNo: 0n,
  };
}

export async function attachByHand(
  transport: Transport,
  workerId: string,
  options: Partial<WorkerReach> & {
    readonly credits?: number;
    readonly held?: readonly RawRunOffer[];
  } = {},
): Promise<HandWorker> {
  const client: Client<typeof RawSessionService> = createClient(RawSessionService, transport);
  const principal = {
    tenant: "local",
    name: `worker:${workerId}`,
    scopes: new Set([AuthScope.WORKER]),
    origin: undefined,
    run: undefined,
  };
  const said = new FrameQueue<{ frame: Said }>();
  const control = new AbortController();
  const heard: Heard[] = [];
  let changed = Promise.withResolvers<void>();
  let ended = false;
  let reading: Promise<void> | undefined;
  let acted = 0n;
  void (async () => {
    try {
      for await (const { frame } of client.attach(said, { ...as(principal), signal: control.signal })) {
        heard.push(frame);
        changed.resolve();
        await reading;
      }
    } catch {
      // Told by `hear`.
    }
    ended = true;
    changed.resolve();
  })();
  onTestFinished(() => control.abort());
  const worker: HandWorker = {
    say: (frame) => void said.offer({ frame }),
    async hear(kind) {
      for (;;) {
        const at = heard.findIndex((frame) => frame.case === kind);
        if (at >= 0) return heard.splice(at, 1)[0]?.value as never;
        if (ended) throw new Error(`the stream ended before ${kind}`);
        changed = Promise.withResolvers();
        await changed.promise;
      }
    },
    waiting: (kind) => heard.filter((frame) => frame.case === kind).length,
    act(commandId) {
      acted = commandId;
    },
    append(offer, batchNo, ...bodies) {
      const { runId } = heldOf(offer);
      worker.appendEncoded(offer, batchNo, ...bodies.map((body) => encodeEvent({ runId, body })));
    },
    appendEncoded(offer, batchNo, ...events) {
      const { sessionId, runId, epoch } = heldOf(offer);
      const value = { events: [...events], sessionId, runId, epoch, batchNo: BigInt(batchNo), actedCommandId: acted };
      said.offer({ frame: { case: "batch", value: { $typeName: "atoll.internal.v1.RawAppendBatch", ...value } } });
    },
    renew: (...offers) =>
      worker.say({ case: "renew", value: { $typeName: "atoll.session.v1.RenewLeases", held: offers.map(heldOf) } }),
    stopReading() {
      const { promise, resolve } = Promise.withResolvers<void>();
      reading = promise;
      return resolve;
    },
    cut: () => control.abort(),
  };
  const hello = {
    $typeName: "atoll.session.v1.WorkerHello" as const,
    workerId,
    agentIds: [...(options.agentIds ?? [])],
    tenant: options.tenant ?? "",
    pool: options.pool ?? "",
    labels: { ...options.labels },
    credits: options.credits ?? 1,
    held: (options.held ?? []).map(heldOf),
    version: "test",
  };
  worker.say({ case: "hello", value: hello });
  return worker;
}
