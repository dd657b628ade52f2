/** kill -9, and which of the processes it hit: one that has ended already is none that was killed. */
import type { ChildProcess } from "node:child_process";

export function killLive<Target extends { readonly process: { readonly child: ChildProcess } }>(
  targets: readonly Target[],
): Target[] {
  return targets.filter(({ process }) => isAlive(process) && process.child.kill("SIGKILL"));
}

/** Whether it has not ended, as far as is known here. */
export function isAlive({ child }: { readonly child: ChildProcess }): boolean {
  return child.exitCode === null && child.signalCode === null;
}
