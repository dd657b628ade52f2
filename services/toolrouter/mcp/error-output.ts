/**
 * Brings a child's error output to the log, line by line.
 *
 * Keeps L7: a line is cut at 1 KiB and 50 lines are written in a second. Keeps L9: what is over that is counted, and
 * the count is logged.
 */
import type { Clock } from "../../kernel/clock.ts";
import type { Log } from "../../kernel/log.ts";
import { escapeHidden } from "../escape-hidden.ts";

const maxLineBytes = 1024;
const maxLinesPerWindow = 50;
const windowMs = 1000;

export class ErrorOutput {
  readonly #log: Log;
  readonly #clock: Clock;
  #line: Buffer[] = [];
  #lineBytes = 0;
  #lastLine = "";
  #windowStartMs = Number.NEGATIVE_INFINITY;
  #linesInWindow = 0;
  #suppressed = 0;

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** The last line that was not blank, cut and escaped; empty when there was none. */
  get lastLine(): string {
    return this.#lastLine;
  }

  push(chunk: Buffer): void {
    let rest = chunk;
    for (let end = rest.indexOf(0x0a); end !== -1; end = rest.indexOf(0x0a)) {
      this.#keep(rest.subarray(0, end));
      this.#write();
      rest = rest.subarray(end + 1);
    }
    this.#keep(rest);
  }

  /** Writes what is left: a line without an end, and how much was left out. */
  end(): void {
    this.#write();
    this.#tellSuppressed();
  }

  #keep(part: Buffer): void {
    const room = maxLineBytes - this.#lineBytes;
    if (room <= 0 || part.length === 0) return;
    this.#line.push(Buffer.from(part.subarray(0, room)));
    this.#lineBytes += Math.min(part.length, room);
  }

  #write(): void {
    const line = escapeHidden(Buffer.concat(this.#line).toString("utf8").trim());
    this.#line = [];
    this.#lineBytes = 0;
    if (line === "") return;
    this.#lastLine = line;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#windowStartMs >= windowMs) {
      this.#tellSuppressed();
      this.#windowStartMs = nowMs;
      this.#linesInWindow = 0;
    }
    this.#linesInWindow++;
    if (this.#linesInWindow > maxLinesPerWindow) this.#suppressed++;
    else this.#log.info({ stderr: line }, "an MCP server wrote to its error output");
  }

  #tellSuppressed(): void {
    if (this.#suppressed === 0) return;
    this.#log.warn(
      { suppressedLines: this.#suppressed },
      "an MCP server writes too much error output; lines were left out",
    );
    this.#suppressed = 0;
  }
}
