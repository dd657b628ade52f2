/**
 * Moves a process's wall clock, as an operator does or a laptop that wakes: `node --import` this file, with the name of
 * the clock's file in ATOLL_TEST_CLOCK. Its first eight bytes are milliseconds, a float, by which Date.now() is ahead. All
 * processes with the same file jump in the same moment. Timers and the monotonic clock go on as they are.
 */
import { openSync, readSync, writeSync } from "node:fs";

const path = process.env["ATOLL_TEST_CLOCK"];
if (path !== undefined) follow(path);

function follow(clockFile: string): void {
  const file = openSync(clockFile, "r");
  const ahead = new Float64Array(1);
  const realNow = Date.now;
  Date.now = () => {
    readSync(file, ahead, 0, ahead.byteLength, 0);
    return realNow() + (ahead[0] ?? 0);
  };
}

/** For the parent of such processes. */
export function openClock(clockFile: string): { readonly set: (aheadMs: number) => void } {
  const file = openSync(clockFile, "w");
  const set = (aheadMs: number): void => void writeSync(file, Float64Array.of(aheadMs), 0, 8, 0);
  set(0);
  return { set };
}
