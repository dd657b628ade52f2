/**
 * Gives back what the start has used: stripping types and reading descriptors leave 60 MB of garbage that V8 would keep
 * for a burst that does not come. Done once, while nobody is connected, because it stops the process for about 0.1 s.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const firstLookMs = 2_000;
const lookAgainMs = 5_000;

/** @param isIdle Whether nobody would notice a pause now. */
export function trimMemoryWhenIdle(isIdle: () => boolean): void {
  // main.ts keeps the young generation small during the start; under load a larger one costs less.
  setFlagsFromString("--semi-space-growth-factor=2");
  // What stays alive is little, most of it code and descriptors, and V8 would look through all of it for each 10 MB of
  // buffers that a long session's pages are made of. It may wait until as much again and a half has come.
  setFlagsFromString("--heap-growing-percent=150");
  const look = (): void => {
    if (isIdle()) collect();
    else setTimeout(look, lookAgainMs).unref();
  };
  setTimeout(look, firstLookMs).unref();
}

function collect(): void {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as NodeJS.GCFunction;
  setFlagsFromString("--no-expose-gc");
  // Only this flavour also shrinks the young generation and returns its pages to the system.
  collectGarbage({ type: "major", execution: "sync", flavor: "last-resort" });
}
