/**
 * Names for new things: a prefix that tells the kind, then 26 characters that sort by time.
 *
 * The characters are a ULID (github.com/ulid/spec): 48 bits of milliseconds and 80 random bits in Crockford's base32.
 * Keeps: within one process and clock, every id is greater than the one before it, also within one millisecond and
 * when the wall clock steps back. Ids are unique, not secret: the next one can be guessed from the last.
 */
import { randomUUID } from "node:crypto";
import { type Clock, systemClock } from "./clock.ts";

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/** Every ten bits as two characters. */
const pairs = Array.from({ length: 1_024 }, (_, bits) => `${alphabet[bits >> 5]}${alphabet[bits & 31]}`);
const twoPairs = 2 ** 20;
const fourPairs = 2 ** 40;

/** What can have an id. */
export type IdPrefix = "ses" | "run" | "msg" | "log" | "call" | "blk" | "apr" | "qst" | "wrk" | "req" | "ins";

/** What an id says: the milliseconds and two halves of 40 bits each. */
interface Value {
  readonly timeMs: number;
  readonly high: number;
  readonly low: number;
}

/** The last value handed out, a clock at a time: a clock that runs ahead does not push the others. */
const lastValues = new WeakMap<Pick<Clock, "nowMs">, Value>();

/** A new id, for example `ses_01K9ABCDEFGHJKMNPQRSTVWXYZ`. */
export function newId(prefix: IdPrefix, clock: Pick<Clock, "nowMs"> = systemClock): string {
  const nowMs = clock.nowMs();
  const last = lastValues.get(clock);
  const value = last === undefined || nowMs > last.timeMs ? randomValue(nowMs) : following(last);
  lastValues.set(clock, value);
  return `${prefix}_${pairs[Math.floor(value.timeMs / fourPairs)]}${encode(value.timeMs % fourPairs)}${encode(value.high)}${encode(value.low)}`;
}

/** A W3C trace id: 32 lowercase hexadecimal digits, never all zero. */
export function newTraceId(): string {
  // The digits of a random UUID; its version is never zero.
  return randomUUID().replaceAll("-", "");
}

/** A W3C parent id: 16 lowercase hexadecimal digits, never all zero. */
export function newSpanId(): string {
  // The end of a random UUID begins with its variant, which is never zero.
  return randomUUID().slice(19).replace("-", "");
}

/** Takes its bits from a UUID, for which node keeps random bytes ready. */
function randomValue(timeMs: number): Value {
  const uuid = randomUUID();
  const half = (digits: string): number => Number.parseInt(digits, 16);
  return { timeMs, high: half(`${uuid.slice(0, 8)}${uuid.slice(-2)}`), low: half(uuid.slice(-12, -2)) };
}

/** Counts on; running over the random part moves the time by 1 ms. */
function following({ timeMs, high, low }: Value): Value {
  if (low + 1 < fourPairs) return { timeMs, high, low: low + 1 };
  if (high + 1 < fourPairs) return { timeMs, high: high + 1, low: 0 };
  return { timeMs: timeMs + 1, high: 0, low: 0 };
}

/** 40 bits as eight characters. */
function encode(value: number): string {
  const [high, low] = [Math.floor(value / twoPairs), value % twoPairs];
  return `${pairs[high >> 10]}${pairs[high & 1_023]}${pairs[low >> 10]}${pairs[low & 1_023]}`;
}
