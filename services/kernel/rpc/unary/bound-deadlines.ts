/** Deadlines of callers, bounded by what a timer can hold: a longer one would fire at once (L7). */
import { longestWaitMs } from "../../clock.ts";

/** Milliseconds of the units of gRPC's `grpc-timeout`. */
const unitsMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };
const longestWaitS = Math.floor(longestWaitMs / 1_000);
/** What the protocol allows; some clients write more, of a small unit. */
const maxDigits = 8;

/** Replaces a deadline beyond `longestWaitMs` (24.8 days) with that, in place. Others stay as they are, right or wrong. */
export function boundDeadlines(header: Headers): void {
  const connect = header.get("connect-timeout-ms");
  if (connect !== null && /^\d{1,10}$/.test(connect) && Number(connect) > longestWaitMs) {
    header.set("connect-timeout-ms", String(longestWaitMs));
  }
  const [, digits, unit] = /^(\d{1,16})([HMSmun])$/.exec(header.get("grpc-timeout") ?? "") ?? [];
  if (digits === undefined) return;
  const timeoutMs = Number(digits) * (unitsMs[unit ?? ""] ?? 0);
  if (timeoutMs > longestWaitMs) header.set("grpc-timeout", `${longestWaitS}S`);
  else if (digits.length > maxDigits) header.set("grpc-timeout", `${Math.floor(timeoutMs / 1_000)}S`);
}
