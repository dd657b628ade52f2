/** Deadlines of callers, bounded by what a timer can hold: a longer one would fire at once (L7). */
import { longestWaitMs } from "../../clock.ts";

/** Milliseconds of the units of gRPC's `grpc-timeout`. */
const unitsMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };
const longestWaitS = Math.floor(longestWaitMs / 1_000);
/** What the protocol allows; some clients write more, of a small unit. */
const maxDigits = 8;

/** How long a caller gives its call, in whole milliseconds; undefined when it does not say. */
export function statedTimeoutMs(header: Headers): number | undefined {
  const connect = header.get("connect-timeout-ms");
  if (connect !== null) return Number(connect);
  const grpc = readGrpcTimeout(header);
  return grpc && Math.floor(grpc.timeoutMs);
}

function readGrpcTimeout(header: Headers): { readonly digits: string; readonly timeoutMs: number } | undefined {
  const [, digits, unit] = /^(\d{1,16})([HMSmun])$/.exec(header.get("grpc-timeout") ?? "") ?? [];
  return digits === undefined ? undefined : { digits, timeoutMs: Number(digits) * (unitsMs[unit ?? ""] ?? 0) };
}

/** Replaces a deadline beyond `longestWaitMs` (24.8 days) with that, in place. Others stay as they are, right or wrong. */
export function boundDeadlines(header: Headers): void {
  const connect = header.get("connect-timeout-ms");
  if (connect !== null && /^\d{1,10}$/.test(connect) && Number(connect) > longestWaitMs) {
    header.set("connect-timeout-ms", String(longestWaitMs));
  }
  const grpc = readGrpcTimeout(header);
  if (grpc === undefined) return;
  const { digits, timeoutMs } = grpc;
  if (timeoutMs > longestWaitMs) header.set("grpc-timeout", `${longestWaitS}S`);
  else if (digits.length > maxDigits) header.set("grpc-timeout", `${Math.floor(timeoutMs / 1_000)}S`);
}
