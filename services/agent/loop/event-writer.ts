/**
 * Where a run's loop writes its events.
 *
 * Gathers the deltas of a block (S3: byte offsets, no split code point): the first goes out at once, the rest within a
 * bounded window. Everything else goes out at the end of the tick, so that what happens together travels together.
 * Keeps L7: `deliver` may make the writer wait; the loop awaits `ready` before it reads more of the model.
 */
import { crc32 } from "node:zlib";
import { BlockKind } from "../../../gen/atoll/event/v1/block_events_pb.ts";
import type { Clock, Timer } from "../../kernel/clock.ts";
import { ErrorReason, failure } from "../../kernel/errors.ts";
import { type EventBody, encodeEvent } from "../../kernel/event/encode-event.ts";
import { endsInHalf, splitText } from "./split-text.ts";

/** Takes encoded events over, in order. */
export interface EventOutlet {
  /**
   * Accepts the events; what it can't hold any more makes `ready` wait. `actedCommandId` is the highest command of the
   * run that was acted on with them or before them; 0 for none.
   */
  readonly deliver: (events: readonly Uint8Array[], actedCommandId: number) => void;
  /** Resolves when there is room for more. Rejects when the events can't be delivered any more. */
  readonly ready: () => Promise<void>;
  /** Resolves when everything that was delivered is durable. Rejects when it can't be. */
  readonly durable: () => Promise<void>;
}

export interface EventWriterOptions {
  readonly outlet: EventOutlet;
  readonly runId: string;
  readonly attempt: number;
  readonly clock: Clock;
  /** Default 10. */
  readonly deltaWindowMs: number;
}

/** Of one event. The largest frame of a worker is 4 MiB; the rest is for what stands around the event. */
const maxEventBytes = 4_128_768;

interface OpenBlock {
  readonly blockId: string;
  readonly kind: "text" | "thinking";
  length: number;
  crc: number;
  pending: string;
  /** Half of a surrogate pair, until its other half comes. */
  half: string;
  isShown: boolean;
}

export class EventWriter {
  readonly #options: EventWriterOptions;
  #step = 0;
  #batch: Uint8Array[] = [];
  #block: OpenBlock | undefined;
  #window: Timer | undefined;
  #soon: Timer | undefined;
  #isScheduled = false;
  #actedCommandId = 0;

  constructor(options: EventWriterOptions) {
    this.#options = options;
  }

  get attempt(): number {
    return this.#options.attempt;
  }

  beginStep(step: number): void {
    this.#step = step;
  }

  /** Writes an event that is no delta. Throws MESSAGE_TOO_LARGE, and writes nothing, for one that no log takes. */
  write(body: EventBody): void {
    this.#flushDelta();
    this.#push(body);
  }

  /** Writes an event that nobody waits for: it goes with the next one, or alone at the end of the window. */
  writeSoon(body: EventBody): void {
    this.#flushDelta();
    this.#encode(body);
    this.#soon ??= this.#options.clock.setTimer(this.#options.deltaWindowMs, () => this.#send());
  }

  /** The command is acted on by what was written last; it is closed when that is durable. */
  actOn(commandId: number): void {
    this.#actedCommandId = Math.max(this.#actedCommandId, commandId);
  }

  beginBlock(index: number, kind: "text" | "thinking"): void {
    const blockId = `${this.#options.attempt}.${this.#step}.${index}`;
    this.#block = { blockId, kind, length: 0, crc: 0, pending: "", half: "", isShown: false };
  }

  /** Adds text to the open block. */
  append(text: string): void {
    const block = this.#block;
    if (block === undefined || text === "") return;
    const joined = block.half + text;
    block.half = endsInHalf(joined) ? joined.slice(-1) : "";
    block.pending += block.half === "" ? joined : joined.slice(0, -1);
    if (block.pending === "") return;
    if (!block.isShown || this.#options.deltaWindowMs === 0) {
      block.isShown = true;
      this.#flushDelta();
    } else {
      this.#window ??= this.#options.clock.setTimer(this.#options.deltaWindowMs, () => this.#flushDelta());
    }
  }

  endBlock(end: { readonly signature: Uint8Array; readonly redacted: boolean }): void {
    const block = this.#block;
    // The other half of the pair never came.
    if (block !== undefined && block.half !== "") block.pending += "\ufffd";
    this.#flushDelta();
    if (block === undefined) return;
    this.#block = undefined;
    this.#push({
      case: "blockCompleted",
      value: {
        blockId: block.blockId,
        kind: block.kind === "text" ? BlockKind.TEXT : BlockKind.THINKING,
        length: BigInt(block.length),
        crc32: block.crc,
        ...end,
      },
    });
  }

  /** Drops what was gathered of a block that will never be whole. */
  abandonBlock(): void {
    this.#flushDelta();
    this.#block = undefined;
  }

  ready(): Promise<void> {
    return this.#options.outlet.ready();
  }

  /** Resolves when everything that was written is durable. */
  async durable(): Promise<void> {
    this.#flushDelta();
    this.#send();
    await this.#options.outlet.durable();
  }

  #flushDelta(): void {
    this.#window?.cancel();
    this.#window = undefined;
    const block = this.#block;
    if (block === undefined || block.pending === "") return;
    const { pending } = block;
    block.pending = "";
    for (const text of splitText(pending.toWellFormed())) this.#pushDelta(block, text);
  }

  #pushDelta(block: OpenBlock, text: string): void {
    const { blockId } = block;
    const bytes = Buffer.from(text);
    const delta = { blockId, offset: BigInt(block.length), text };
    block.length += bytes.length;
    block.crc = crc32(bytes, block.crc);
    this.#push(block.kind === "text" ? { case: "textDelta", value: delta } : { case: "thinkingDelta", value: delta });
  }

  #encode(body: EventBody): void {
    const { runId, attempt } = this.#options;
    const event = encodeEvent({ runId, step: this.#step, attempt, body });
    if (event.length > maxEventBytes) {
      const message = `an event (${body.case}) of ${event.length} bytes is larger than a log takes (${maxEventBytes})`;
      throw failure(ErrorReason.MESSAGE_TOO_LARGE, message, { metadata: { limit_bytes: String(maxEventBytes) } });
    }
    this.#batch.push(event);
  }

  #push(body: EventBody): void {
    this.#encode(body);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#send());
  }

  #send(): void {
    this.#isScheduled = false;
    this.#soon?.cancel();
    this.#soon = undefined;
    if (this.#batch.length === 0) return;
    const events = this.#batch;
    this.#batch = [];
    this.#options.outlet.deliver(events, this.#actedCommandId);
  }
}
