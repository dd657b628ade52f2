/**
 * Names for new things: a prefix that tells the kind, then 26 characters that sort by time.
 *
 * The characters are a ULID (github.com/ulid/spec): 48 bits of milliseconds and 80 random bits in Crockford's base32.
 * Keeps: within one process and clock, every id is greater than the one before it, also within one millisecond and
 * when the wall clock steps back. Ids are unique, not secret: the next one can be guessed from the last.
 */
import { randomBytes } from "node:crypto";
import { type Clock, systemClock } from "./clock.ts";

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const randomBits = 80n;
const characters = 26;

/** What can have an id. */
export type IdPrefix = "ses" | "run" | "msg" | "log" | "call" | "blk" | "apr" | "qst" | "wrk" | "req" | "ins";

/** The last value handed out, a clock at a time: a clock that runs ahead does not push the others. */
const lastValues = new WeakMap<Pick<Clock, "nowMs">, bigint>();

/** A new id, for example `ses_01K9ABCDEFGHJKMNPQRSTVWXYZ`. */
export function newId(prefix: IdPrefix, clock: Pick<Clock, "nowMs"> = systemClock): string {
  const fresh = (BigInt(clock.nowMs()) << randomBits) | randomValue();
  const last = lastValues.get(clock);
  // A value that is not ahead of the last one counts on from it; running over the random part moves the time by 1 ms.
  const value = last === undefined || fresh > last ? fresh : last + 1n;
  lastValues.set(clock, value);
  return `${prefix}_${encode(value)}`;
}

/** A W3C trace id: 32 lowercase hexadecimal digits, never all zero. */
export function newTraceId(): string {
  const bytes = randomBytes(16);
  if (bytes.every((byte) => byte === 0)) bytes[15] = 1;
  return bytes.toString("hex");
}

function randomValue(): bigint {
  return BigInt(`0x${randomBytes(Number(randomBits) / 8).toString("hex")}`);
}

function encode(value: bigint): string {
  let text = "";
  for (let rest = value, index = 0; index < characters; index += 1, rest >>= 5n) {
    text = (alphabet[Number(rest & 31n)] ?? "") + text;
  }
  return text;
}
