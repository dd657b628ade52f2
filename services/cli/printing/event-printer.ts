/**
 * A log as lines: the seq of each event, its time, and what it says.
 *
 * Keeps: every line that begins with a seq is an event; what a text has behind a line break is indented (output.ts), so
 * that nothing that was said looks like another event. Keeps S2 for who reads along: what a resumed stream tells once
 * more is not printed once more.
 */
import { toJsonString } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Event, EventSchema } from "../../../gen/atoll/event/v1/event_pb.ts";
import { jsonRegistry } from "../../kernel/event/json-registry.ts";
import type { Output, TextStyle } from "../command.ts";
import { describeEvent, type OpenCalls } from "./describe-event.ts";
import { deltaOf } from "./rest-of-delta.ts";
import { ShownBlocks } from "./shown-blocks.ts";
import { zonedTime } from "./zoned-time.ts";

interface OpenText {
  readonly first: Event;
  readonly blockId: string;
  readonly kind: "textDelta" | "thinkingDelta";
  lastSeq: bigint;
  text: string;
}

export class EventPrinter {
  readonly #output: Output;
  readonly #isJson: boolean;
  readonly #shown = new ShownBlocks();
  readonly #calls: OpenCalls = new Map();
  #open: OpenText | undefined;

  constructor(output: Output, isJson: boolean) {
    this.#output = output;
    this.#isJson = isJson;
  }

  /** Takes the next event of the log, as subscribeEvents() delivers it; a text is held until `flush` or another event. */
  print(received: Event): void {
    const { event, takenBackBytes } = this.#shown.take(received);
    if (this.#isJson) {
      this.#output.json(toJsonString(EventSchema, event, { registry: jsonRegistry }));
      return;
    }
    if (takenBackBytes > 0) {
      this.flush();
      this.#line(event, `(the last ${takenBackBytes} bytes of this text were taken back)`);
    }
    const { body } = event;
    if (body.case === "textDelta" || body.case === "thinkingDelta") {
      this.#gather(event, body.case, body.value.text, deltaOf(event)?.blockId ?? "");
      return;
    }
    this.flush();
    const words = describeEvent(event, this.#calls);
    if (words !== undefined) this.#line(event, words, "dim");
  }

  /** Prints the text that is held. */
  flush(): void {
    if (this.#open === undefined) return;
    const { first, lastSeq, text, kind } = this.#open;
    this.#open = undefined;
    this.#line({ ...first, seq: lastSeq }, text, kind === "thinkingDelta" ? "dim" : undefined);
  }

  /** The log comes again from its beginning, or another one does: all of it is printed. */
  startOver(): void {
    this.flush();
    this.#shown.clear();
  }

  /** Deltas of one block that come together are one text. */
  #gather(event: Event, kind: OpenText["kind"], text: string, blockId: string): void {
    if (this.#open?.blockId === blockId && this.#open.kind === kind) {
      this.#open.text += text;
      this.#open.lastSeq = event.seq;
      return;
    }
    this.flush();
    this.#open = { first: event, blockId, kind, lastSeq: event.seq, text };
  }

  #line({ firstSeq, seq, time }: Pick<Event, "firstSeq" | "seq" | "time">, text: string, style?: TextStyle): void {
    const range = firstSeq === seq ? String(seq) : `${firstSeq}–${seq}`;
    const when = time === undefined ? "" : zonedTime(timestampMs(time), "milliseconds");
    this.#output.line(`${range.padStart(9)}  ${when}  ${text}`, style);
  }
}
