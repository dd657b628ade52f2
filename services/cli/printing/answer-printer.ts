/**
 * A run while it is made, for who asked: the answer on standard output, everything else on standard error.
 *
 * Keeps S8 where nothing can be unsaid: when standard output is no terminal, the text of a step is held until the step
 * can't be discarded any more, so that a step that is made again is not printed twice. Keeps L7: what is held is one step's
 * answer.
 */
import { toJsonString } from "@bufbuild/protobuf";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { jsonRegistry } from "../../kernel/event/json-registry.ts";
import type { Output } from "../command.ts";
import { describeEvent, type OpenCalls } from "./describe-event.ts";
import { ShownBlocks } from "./shown-blocks.ts";

interface HeldBlock {
  readonly step: number;
  readonly attempt: number;
  parts: Buffer[];
  byteLength: number;
}

export class AnswerPrinter {
  readonly #output: Output;
  readonly #isJson: boolean;
  readonly #shown = new ShownBlocks();
  readonly #calls: OpenCalls = new Map();
  /** Block id → its text so far, in the order of the blocks; only when standard output is no terminal. */
  readonly #held = new Map<string, HeldBlock>();

  constructor(output: Output, isJson: boolean) {
    this.#output = output;
    this.#isJson = isJson;
  }

  /** Takes the next event of the run, as subscribeEvents() delivers it. */
  print(received: Event): void {
    const { event, takenBackBytes } = this.#shown.take(received);
    if (this.#isJson) {
      this.#output.json(toJsonString(EventSchema, event, { registry: jsonRegistry }));
      return;
    }
    if (this.#output.isTerminal && takenBackBytes > 0) {
      this.#output.note(`(the last ${takenBackBytes} bytes of this text were taken back)`, "dim");
    }
    const { body } = event;
    switch (body.case) {
      case "textDelta":
        if (this.#output.isTerminal) this.#output.text(body.value.text);
        else this.#hold(received);
        return;
      case "thinkingDelta":
        this.#output.aside(body.value.text);
        return;
      case "blockCompleted":
        if (this.#output.isTerminal) this.#output.endLine();
        return;
      case "stepStarted":
        this.#release((block) => block.step !== event.step || block.attempt !== event.attempt);
        return;
      case "stepDiscarded": {
        const { step, attempt } = body.value;
        for (const [id, block] of this.#held) {
          if (block.step === step && block.attempt === attempt) this.#held.delete(id);
        }
        break;
      }
      case "runFinished":
        this.#release(() => true);
        break;
      case "messageReceived":
        return; // Who asked knows what was said.
      default:
        break;
    }
    const words = describeEvent(event, this.#calls);
    if (words !== undefined) this.#output.note(words, "dim");
  }

  /** The log comes again from its beginning, or another one does: all of it is printed. */
  startOver(): void {
    this.#shown.clear();
    this.#held.clear();
  }

  /** S3: a delta cuts its block to its offset, then appends. */
  #hold({ body, step, attempt }: Event): void {
    if (body.case !== "textDelta") return;
    const { blockId, offset, text } = body.value;
    const block = this.#held.get(blockId) ?? { step, attempt, parts: [], byteLength: 0 };
    this.#held.set(blockId, block);
    const at = Number(offset);
    if (at < block.byteLength) {
      block.parts = [Buffer.concat(block.parts).subarray(0, at)];
      block.byteLength = at;
    }
    const part = Buffer.from(text);
    block.parts.push(part);
    block.byteLength += part.length;
  }

  #release(isSettled: (block: HeldBlock) => boolean): void {
    for (const [id, block] of this.#held) {
      if (!isSettled(block)) continue;
      this.#held.delete(id);
      if (block.byteLength === 0) continue;
      this.#output.text(Buffer.concat(block.parts).toString());
      this.#output.endLine();
    }
  }
}
