import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as NodeJS.GCFunction;

/** Collects all that nobody holds any more. Not in the turn that let it go: a WeakRef that was made there keeps it. */
export async function collectGarbage(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
  collect();
}

/** Bytes of the heap that each of `count` rounds leaves behind, however the first ones warm things up. */
export async function bytesLeftBehind(count: number, rounds: (count: number) => Promise<void>): Promise<number> {
  await rounds(count / 10);
  await collectGarbage();
  const before = process.memoryUsage().heapUsed;
  await rounds(count);
  await collectGarbage();
  return (process.memoryUsage().heapUsed - before) / count;
}
