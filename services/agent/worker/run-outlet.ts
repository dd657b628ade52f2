/**
 * The batches of one run on their way to the session service.
 *
 * Keeps L4: batches are numbered from 1 in each epoch and kept until they are acknowledged, so that a broken stream loses
 * none and repeats none. Keeps L7: what is not acknowledged is bounded; beyond it the loop waits.
 */

import { create } from "@bufbuild/protobuf";
import { type RawAppendBatch, RawAppendBatchSchema } from "../../../gen/atoll/internal/v1/raw_events_pb.ts";
import type { BatchAccepted, BatchRefused, HeldRun } from "../../../gen/atoll/session/v1/attach_pb.ts";
import { ErrorReason } from "../../kernel/errors.ts";
import type { EventOutlet } from "../loop/event-writer.ts";
import { splitEvents } from "../loop/split-events.ts";

const maxUnackedBatches = 128;
const maxUnackedBytes = 2_097_152;

export interface HeldRunKey {
  readonly sessionId: string;
  readonly runId: string;
  readonly epoch: number;
}

export type RefusalVerdict = "lost" | "resend" | "broken";

export class RunOutlet implements EventOutlet {
  readonly key: HeldRunKey;
  readonly #send: (batch: RawAppendBatch) => void;
  readonly #unacked = new Map<number, { readonly batch: RawAppendBatch; readonly bytes: number }>();
  #unackedBytes = 0;
  #lastBatchNo = 0;
  #ackedBatchNo = 0;
  #actedCommandId = 0;
  #changed = Promise.withResolvers<void>();
  #failure: { readonly error: unknown } | undefined;
  /** The last time that batches were forgotten. */
  #restart: { readonly count: number; readonly batchNo: number; readonly error: unknown } | undefined;

  /** @param send Puts a batch on the stream; loses it when there is none. */
  constructor(key: HeldRunKey, send: (batch: RawAppendBatch) => void) {
    this.key = key;
    this.#send = send;
    this.#changed.promise.catch(() => undefined);
  }

  readonly deliver = (events: readonly Uint8Array[], actedCommandId = this.#actedCommandId): void => {
    const parts = splitEvents(events);
    for (const part of parts.slice(0, -1)) this.#number(part);
    // With the last part: what a command was acted on by is in none that goes before.
    this.#actedCommandId = actedCommandId;
    const last = parts.at(-1);
    if (last !== undefined) this.#number(last);
  };

  readonly ready = async (): Promise<void> => {
    this.#throwIfFailed();
    while (this.#unacked.size > maxUnackedBatches || this.#unackedBytes > maxUnackedBytes) await this.#wait();
  };

  readonly durable = async (): Promise<void> => {
    this.#throwIfFailed();
    const upTo = this.#lastBatchNo;
    const before = this.#restart?.count;
    while (this.#ackedBatchNo < upTo) {
      await this.#wait();
      const restart = this.#restart;
      if (restart !== undefined && restart.count !== before && restart.batchNo <= upTo) throw restart.error;
    }
  };

  accepted({ batchNo }: BatchAccepted): void {
    const acked = Number(batchNo);
    this.#ackedBatchNo = Math.max(this.#ackedBatchNo, acked);
    for (const [number, { bytes }] of this.#unacked) {
      if (number > acked) break;
      this.#unacked.delete(number);
      this.#unackedBytes -= bytes;
    }
    this.#change();
  }

  /** What a refusal means for the run. */
  refused({ reason }: BatchRefused): RefusalVerdict {
    switch (reason) {
      case ErrorReason.STORE_UNAVAILABLE:
      case ErrorReason.BATCH_OUT_OF_ORDER:
        return "resend";
      case ErrorReason.EVENT_NOT_ALLOWED:
        return "broken";
      default:
        return "lost";
    }
  }

  /** Sends again what was not acknowledged, in order; the store answers what it has already. */
  resend(): void {
    for (const { batch } of this.#unacked.values()) this.#send(batch);
  }

  /**
   * Forgets the batches from this number on, none of which was stored: what is written next takes their place. Whoever
   * waits until they are durable is told with the error.
   */
  restartAt(batchNo: number, error: unknown): void {
    this.#restart = { count: (this.#restart?.count ?? 0) + 1, batchNo, error };
    for (const [number, { bytes }] of this.#unacked) {
      if (number < batchNo) continue;
      this.#unacked.delete(number);
      this.#unackedBytes -= bytes;
    }
    this.#lastBatchNo = Math.min(this.#lastBatchNo, batchNo - 1);
    this.#change();
  }

  get hasUnacked(): boolean {
    return this.#unacked.size > 0;
  }

  /** The first batch that is not acknowledged. */
  get nextUnacked(): number {
    return this.#ackedBatchNo + 1;
  }

  /** Resolves when nothing waits to be acknowledged, or the outlet has failed. */
  async settled(): Promise<void> {
    while (this.#unacked.size > 0 && this.#failure === undefined) await this.#changed.promise;
  }

  /** The run belongs to somebody else, or can't go on: whoever waits is told. */
  fail(error: unknown): void {
    this.#failure = { error };
    this.#unacked.clear();
    this.#unackedBytes = 0;
    this.#change();
  }

  held(): Omit<HeldRun, "$typeName"> {
    const { sessionId, runId, epoch } = this.key;
    return { sessionId, runId, epoch: BigInt(epoch), ackedBatchNo: BigInt(this.#ackedBatchNo) };
  }

  #number(events: readonly Uint8Array[]): void {
    if (this.#failure !== undefined) return;
    const bytes = events.reduce((sum, { length }) => sum + length, 0);
    this.#lastBatchNo += 1;
    const { sessionId, runId, epoch } = this.key;
    const batch = create(RawAppendBatchSchema, {
      events: events as Uint8Array[],
      sessionId,
      runId,
      epoch: BigInt(epoch),
      batchNo: BigInt(this.#lastBatchNo),
      actedCommandId: BigInt(this.#actedCommandId),
    });
    this.#unacked.set(this.#lastBatchNo, { batch, bytes });
    this.#unackedBytes += bytes;
    this.#send(batch);
  }

  async #wait(): Promise<void> {
    this.#throwIfFailed();
    await this.#changed.promise;
    this.#throwIfFailed();
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
