/**
 * How far each open block of model output was shown, for a reader that can't unsay what it has printed.
 *
 * Keeps S2: the first event of a resumed stream may begin before the cursor; only its new part is given out. Keeps S3: a
 * delta that takes text back says so. Keeps L7: a block is forgotten when it is whole, void, or its run has ended.
 */
import type { Event } from "../../../gen/atoll/event/v1/event_pb.ts";
import { byteEndOf, deltaOf, type KnownPart, restOfDelta } from "./rest-of-delta.ts";

/** What of an event is to be shown. */
export interface NewPart {
  /** The event, or its part behind what was shown. */
  readonly event: Event;
  /** How many bytes at the end of what was shown of the block are void; 0 for none. */
  readonly takenBackBytes: number;
}

interface ShownBlock extends KnownPart {
  readonly step: number;
  readonly attempt: number;
}

export class ShownBlocks {
  /** Run id → block id → how far. */
  readonly #runs = new Map<string, Map<string, ShownBlock>>();

  /** Takes the next event of the log, which counts as shown from then on. */
  take(event: Event): NewPart {
    const { body, runId } = event;
    const delta = deltaOf(event);
    if (delta !== undefined) return this.#takeDelta(event, delta);
    if (body.case === "blockCompleted") this.#forget(runId, (_, blockId) => blockId === body.value.blockId);
    if (body.case === "stepDiscarded") {
      const { step, attempt } = body.value;
      this.#forget(runId, (block) => block.step === step && block.attempt === attempt);
    }
    if (body.case === "runFinished") this.#runs.delete(runId);
    return { event, takenBackBytes: 0 };
  }

  /** Forgets everything: the log starts over. */
  clear(): void {
    this.#runs.clear();
  }

  #takeDelta(event: Event, delta: NonNullable<ReturnType<typeof deltaOf>>): NewPart {
    const { runId, seq, step, attempt } = event;
    const blocks = this.#runs.get(runId) ?? new Map<string, ShownBlock>();
    this.#runs.set(runId, blocks);
    const known = blocks.get(delta.blockId);
    blocks.set(delta.blockId, { seq, byteEnd: byteEndOf(delta), step, attempt });
    if (known === undefined) return { event, takenBackBytes: 0 };
    const rest = event.firstSeq <= known.seq ? restOfDelta(event, known) : undefined;
    if (rest !== undefined) return { event: rest, takenBackBytes: 0 };
    return { event, takenBackBytes: Math.max(0, Number(known.byteEnd - delta.offset)) };
  }

  #forget(runId: string, isGone: (block: ShownBlock, blockId: string) => boolean): void {
    const blocks = this.#runs.get(runId);
    if (blocks === undefined) return;
    for (const [blockId, block] of blocks) if (isGone(block, blockId)) blocks.delete(blockId);
    if (blocks.size === 0) this.#runs.delete(runId);
  }
}
