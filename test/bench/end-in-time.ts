/**
 * Keeps a bench from running, or its processes from living, for ever.
 *
 * Keeps L7: after `longestMs` the bench ends with exit code 1. However it ends, the processes that it started end with it.
 */
import type { ChildProcess } from "node:child_process";

const children = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

/** Ends the process with this one, when nobody has ended it before. */
export function endWithBench(child: ChildProcess): void {
  children.add(child);
  child.once("exit", () => children.delete(child));
}

/** Returns the function that calls the end off. */
export function endAfter(bench: string, longestMs: number): () => void {
  const timer = setTimeout(() => {
    process.stderr.write(`${bench} was not done after ${longestMs} ms\n`);
    process.exit(1);
  }, longestMs);
  return () => clearTimeout(timer);
}
