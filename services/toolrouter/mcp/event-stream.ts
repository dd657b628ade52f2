/** Reads the data of server-sent events (WHATWG HTML, §9.2.6). Keeps L7: an event has a bound, however many lines. */
import { LineSplitter, LineTooLong } from "./line-splitter.ts";

export class EventStream {
  readonly #maxEventBytes: number;
  readonly #lines: LineSplitter;
  #data: string[] = [];
  #bytes = 0;
  #event = "";

  constructor(maxEventBytes: number) {
    this.#maxEventBytes = maxEventBytes;
    this.#lines = new LineSplitter(maxEventBytes);
  }

  /** The data of each `message` event that the chunk completes. Throws LineTooLong. */
  *push(chunk: Buffer): Generator<string> {
    for (const line of this.#lines.push(chunk)) {
      if (line !== "") this.#read(line);
      else if (this.#data.length > 0) {
        const data = this.#data.join("\n");
        const isMessage = this.#event === "" || this.#event === "message";
        this.#forget();
        if (isMessage && data !== "") yield data;
      } else this.#forget();
    }
  }

  #read(line: string): void {
    this.#bytes += line.length;
    if (this.#bytes > this.#maxEventBytes)
      throw new LineTooLong(`an event is longer than ${this.#maxEventBytes} bytes`);
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#event = value;
  }

  #forget(): void {
    this.#data = [];
    this.#bytes = 0;
    this.#event = "";
  }
}
