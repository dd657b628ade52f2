/**
 * How much a server may say that nobody asked for: notifications, requests, answers to nothing, lines that are none.
 *
 * Keeps E10: 5 000 messages may come at once, and 1 000 a second after that; of bytes 160 MiB and 32 MiB a second. Over
 * that the server is read more slowly, at that pace, so that it costs others nothing; one that keeps it up for 5 s is to
 * be ended. Counting is all that is done per message, before anything is parsed.
 */
import type { Clock } from "../../kernel/clock.ts";

/** A pace that is allowed. */
export interface Pace {
  readonly messagesPerSecond: number;
  readonly bytesPerSecond: number;
}

const defaultPace: Pace = { messagesPerSecond: 1000, bytesPerSecond: 32 * 1024 * 1024 };
/** What may come at once, in seconds of the pace; and how long a server may keep us waiting for it. */
const burstS = 5;

export class InboundMeter {
  readonly #clock: Clock;
  readonly #pace: Pace;
  readonly #messages: Allowance;
  readonly #bytes: Allowance;

  constructor(clock: Clock, pace: Pace = defaultPace) {
    this.#clock = clock;
    this.#pace = pace;
    this.#messages = new Allowance(pace.messagesPerSecond, clock.monotonicMs());
    this.#bytes = new Allowance(pace.bytesPerSecond, clock.monotonicMs());
  }

  countMessage(): void {
    this.#messages.take(1, this.#clock.monotonicMs());
  }

  countBytes(bytes: number): void {
    this.#bytes.take(bytes, this.#clock.monotonicMs());
  }

  /** An answer to a request of ours is asked for: it does not count. */
  forgive(bytes: number): void {
    this.#messages.give(1);
    this.#bytes.give(bytes);
  }

  /** How long nothing is to be read, in milliseconds; 0 when it may go on. */
  get pauseMs(): number {
    return Math.ceil(Math.max(this.#messages.debtMs, this.#bytes.debtMs));
  }

  /** Why the server is to be ended; undefined while it is not. */
  get problem(): string | undefined {
    if (this.#messages.isExceeded) {
      return `it sent more than ${this.#pace.messagesPerSecond} messages a second that nobody asked for, for ${burstS} s`;
    }
    if (this.#bytes.isExceeded) {
      return `it sent more than ${this.#pace.bytesPerSecond} bytes a second that nobody asked for, for ${burstS} s`;
    }
    return undefined;
  }
}

/** A token bucket that may go into debt: what came together was read together. */
class Allowance {
  readonly #perSecond: number;
  #left: number;
  #lastMs: number;
  /** Since when more comes than is allowed, and until when that has to be waited for. */
  #short: { readonly sinceMs: number; readonly lastMs: number; readonly untilMs: number } | undefined;

  constructor(perSecond: number, nowMs: number) {
    this.#lastMs = nowMs;
    this.#perSecond = perSecond;
    this.#left = perSecond * burstS;
  }

  take(amount: number, nowMs: number): void {
    const earned = ((nowMs - this.#lastMs) * this.#perSecond) / 1000;
    this.#left = Math.min(this.#perSecond * burstS, this.#left + earned);
    this.#lastMs = nowMs;
    this.#left -= amount;
    if (this.#left >= 0) return;
    // It is one flood while it goes on whenever it is read again, however late that is: a busy machine reads late.
    const isSame = this.#short !== undefined && nowMs - this.#short.untilMs < burstS * 1000;
    const sinceMs = isSame && this.#short !== undefined ? this.#short.sinceMs : nowMs;
    this.#short = { sinceMs, lastMs: nowMs, untilMs: nowMs + this.debtMs };
  }

  give(amount: number): void {
    this.#left += amount;
    if (this.#left >= 0) this.#short = undefined;
  }

  get debtMs(): number {
    return this.#left >= 0 ? 0 : (-this.#left * 1000) / this.#perSecond;
  }

  get isExceeded(): boolean {
    const isLong = this.#short !== undefined && this.#short.lastMs - this.#short.sinceMs >= burstS * 1000;
    return isLong || this.#left < -this.#perSecond * burstS;
  }
}
