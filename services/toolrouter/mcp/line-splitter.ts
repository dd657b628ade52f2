/**
 * Cuts a byte stream into lines. Keeps L7: of a line over the bound only its ends are kept; the rest is thrown away as it
 * comes.
 */

/** How much of each end of a line over the bound is kept, in bytes. */
const keptEndBytes = 4096;

/** A line that was longer than the bound. */
export class LongLine {
  /** Without the line's end. */
  readonly bytes: number;
  readonly head: string;
  readonly tail: string;

  constructor(bytes: number, head: string, tail: string) {
    this.bytes = bytes;
    this.head = head;
    this.tail = tail;
  }
}

export class LineSplitter {
  readonly #maxLineBytes: number;
  #parts: Buffer[] = [];
  /** Of the line so far, thrown away ones included. */
  #bytes = 0;
  /** The first bytes of a line over the bound. */
  #head: Buffer | undefined;

  /** `maxLineBytes` counts without the line end. */
  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
  }

  /** The lines that the chunk completes, without their ends. */
  *push(chunk: Buffer): Generator<string | LongLine> {
    let rest = chunk;
    for (let end = rest.indexOf(0x0a); end !== -1; end = rest.indexOf(0x0a)) {
      this.#keep(rest.subarray(0, end));
      rest = rest.subarray(end + 1);
      yield this.#take();
    }
    this.#keep(rest);
  }

  #keep(part: Buffer): void {
    if (part.length === 0) return;
    this.#bytes += part.length;
    this.#parts.push(part);
    if (this.#bytes <= this.#maxLineBytes) return;
    const kept = Buffer.concat(this.#parts);
    this.#head ??= Buffer.from(kept.subarray(0, keptEndBytes));
    // A copy: a view would hold on to all that it was cut from.
    this.#parts = [Buffer.from(kept.subarray(-keptEndBytes))];
  }

  #take(): string | LongLine {
    const line = withoutReturn(Buffer.concat(this.#parts).toString("utf8"));
    const long = this.#head === undefined ? undefined : new LongLine(this.#bytes, this.#head.toString("utf8"), line);
    this.#parts = [];
    this.#bytes = 0;
    this.#head = undefined;
    return long ?? line;
  }
}

function withoutReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}
