/**
 * Blocks of an answer one after the other, whatever order their pieces come in: the first one that is not at its end is
 * given out as it comes, the ones behind it wait for it. Keeps L7: what waits is bounded.
 */
import type { ModelPart } from "../../model.ts";
import { MalformedAnswer } from "./malformed-answer.ts";

/** Of all blocks that wait for an earlier one, in characters. */
const mostWaitingChars = 4_194_304;

interface OrderedBlock {
  readonly index: number;
  readonly waiting: ModelPart[];
  isEnded: boolean;
}

export class BlockOrder {
  readonly #blocks: OrderedBlock[] = [];
  #nextIndex = 0;
  #waitingChars = 0;

  /** Gives the index of a block that begins. */
  begin(): number {
    const index = this.#nextIndex++;
    this.#blocks.push({ index, waiting: [], isEnded: false });
    return index;
  }

  /** What can be given out now that a block has this part. */
  add(index: number, part: ModelPart): readonly ModelPart[] {
    const block = this.#blocks.find((each) => each.index === index);
    if (block === undefined || block === this.#blocks[0]) return [part];
    this.#waitingChars += part.kind === "text" || part.kind === "thinking" ? part.text.length : 1;
    if (this.#waitingChars > mostWaitingChars) {
      throw new MalformedAnswer(`blocks of the answer interleave over more than ${mostWaitingChars} characters`);
    }
    block.waiting.push(part);
    return [];
  }

  /** The same for the part that ends it. */
  end(index: number, stop: ModelPart): readonly ModelPart[] {
    const given = [...this.add(index, stop)];
    const ended = this.#blocks.find((each) => each.index === index);
    if (ended !== undefined) ended.isEnded = true;
    while (this.#blocks[0]?.isEnded === true) {
      this.#blocks.shift();
      given.push(...(this.#blocks[0]?.waiting.splice(0) ?? []));
    }
    return given;
  }
}
