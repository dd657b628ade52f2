/** Deadlines of callers, bounded by what a timer can hold: a longer one would fire at once (L7). */
import { longestWaitMs } from "../clock.ts";

/** Milliseconds of the units of gRPC's `grpc-timeout` that can be too long; the others can't with eight digits. */
const longUnitsMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000 };
const longestWaitS = Math.floor(longestWaitMs / 1_000);

/** Replaces a deadline beyond `longestWaitMs` (24.8 days) with that, in place. Others stay as they are, right or wrong. */
export function boundDeadlines(header: Headers): void {
  const connect = header.get("connect-timeout-ms");
  if (connect !== null && /^\d{1,10}$/.test(connect) && Number(connect) > longestWaitMs) {
    header.set("connect-timeout-ms", String(longestWaitMs));
  }
  const [, digits, unit] = /^(\d{1,8})([HMS])$/.exec(header.get("grpc-timeout") ?? "") ?? [];
  if (digits !== undefined && Number(digits) * (longUnitsMs[unit ?? ""] ?? 0) > longestWaitMs) {
    header.set("grpc-timeout", `${longestWaitS}S`);
  }
}
