/**
 * Brings a child's error output to the log, line by line.
 *
 * Keeps L7: a line is cut at 1 KiB, 50 lines are written in a second, and at most 10 000 lines and 8 MiB a second are
 * read. Keeps L9: what is over that is counted, and the count is logged.
 */
import type { Clock } from "../../../kernel/clock.ts";
import type { Log } from "../../../kernel/log.ts";
import { escapeHidden } from "../../escape-hidden.ts";
import { InboundMeter } from "../inbound-meter.ts";

const maxLineBytes = 1024;
const maxLinesPerWindow = 50;
const windowMs = 1000;
const pace = { messagesPerSecond: 10_000, bytesPerSecond: 8 * 1024 * 1024 };

export class ErrorOutput {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #onLine: (line: Buffer) => void;
  readonly #meter: InboundMeter;
  #line: Buffer[] = [];
  #lineBytes = 0;
  #windowStartMs = Number.NEGATIVE_INFINITY;
  #linesInWindow = 0;
  #suppressed = 0;

  /** `onLine` gets each line, cut but neither decoded nor escaped. */
  constructor(log: Log, clock: Clock, onLine: (line: Buffer) => void) {
    this.#log = log;
    this.#clock = clock;
    this.#onLine = onLine;
    this.#meter = new InboundMeter(clock, pace);
  }

  /** How long nothing is to be read, in milliseconds: a program that writes faster than that waits for us. */
  get pauseMs(): number {
    return this.#meter.pauseMs;
  }

  push(chunk: Buffer): void {
    this.#meter.countBytes(chunk.length);
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
    const line = this.#line.length === 1 ? this.#line[0] : Buffer.concat(this.#line);
    this.#line = [];
    this.#lineBytes = 0;
    this.#meter.countMessage();
    if (line === undefined || line.length === 0) return;
    this.#onLine(line);
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#windowStartMs >= windowMs) {
      this.#tellSuppressed();
      this.#windowStartMs = nowMs;
      this.#linesInWindow = 0;
    }
    this.#linesInWindow++;
    if (this.#linesInWindow > maxLinesPerWindow) {
      this.#suppressed++;
      return;
    }
    const stderr = escapeHidden(line.toString("utf8").trim());
    if (stderr !== "") this.#log.info({ stderr }, "an MCP server wrote to its error output");
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
