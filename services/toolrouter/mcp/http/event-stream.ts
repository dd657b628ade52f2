/** Reads the data of server-sent events (WHATWG HTML, §9.2.6). Keeps L7: an event has a bound, however many lines. */
import { LineSplitter, LongLine } from "../line-splitter.ts";

export class EventStream {
  readonly #maxEventBytes: number;
  readonly #lines: LineSplitter;
  #data: string[] = [];
  #bytes = 0;
  #event = "";
  /** Set while an event over the bound goes by. */
  #long: LongLine | undefined;

  constructor(maxEventBytes: number) {
    this.#maxEventBytes = maxEventBytes;
    this.#lines = new LineSplitter(maxEventBytes);
  }

  /** The data of each `message` event that the chunk completes; of one over the bound, its ends. */
  *push(chunk: Buffer): Generator<string | LongLine> {
    for (const line of this.#lines.push(chunk)) {
      if (line !== "") {
        this.#read(line);
        continue;
      }
      const data = this.#long ?? this.#data.join("\n");
      const isMessage = this.#event === "" || this.#event === "message";
      this.#forget();
      if (isMessage && data !== "") yield data;
    }
  }

  #read(line: string | LongLine): void {
    const text = line instanceof LongLine ? line.head : line;
    this.#bytes += line instanceof LongLine ? line.bytes : line.length;
    const colon = text.indexOf(":");
    const field = colon === -1 ? text : text.slice(0, colon);
    const value = colon === -1 ? "" : text.slice(text[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data") this.#keep(value, line instanceof LongLine ? line.tail : value);
    else if (field === "event") this.#event = value;
  }

  #keep(value: string, tail: string): void {
    if (this.#bytes <= this.#maxEventBytes) {
      this.#data.push(value);
      return;
    }
    const head = this.#long?.head ?? (this.#data.length > 0 ? this.#data.join("\n").slice(0, keptHeadLength) : value);
    this.#long = new LongLine(this.#bytes, head, tail);
    this.#data = [];
  }

  #forget(): void {
    this.#data = [];
    this.#bytes = 0;
    this.#event = "";
    this.#long = undefined;
  }
}

const keptHeadLength = 4096;
