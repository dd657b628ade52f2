/**
 * Ends a child process and everything that it started: the child leads a process group of its own.
 *
 * Keeps L7: SIGTERM, then SIGKILL after 2 s; waits at most 1 s more for the end to be seen.
 */
import type { ChildProcess } from "node:child_process";
import type { Clock } from "../../../kernel/clock.ts";

const graceMs = 2000;
const afterKillMs = 1000;
const pollMs = 20;

/** Ends the group that `child` leads. The child must have been spawned with `detached: true`. Never rejects. */
export async function endProcessGroup(child: ChildProcess, clock: Clock): Promise<void> {
  const { pid } = child;
  if (pid === undefined) return;
  if (!signalGroup(pid, "SIGTERM")) return;
  if (await gone(child, pid, clock, graceMs)) return;
  signalGroup(pid, "SIGKILL");
  await gone(child, pid, clock, afterKillMs);
}

async function gone(child: ChildProcess, pid: number, clock: Clock, waitMs: number): Promise<boolean> {
  const untilMs = clock.monotonicMs() + waitMs;
  while (hasRun(child) === false || signalGroup(pid, 0)) {
    if (clock.monotonicMs() >= untilMs) return false;
    await clock.sleep(pollMs);
  }
  return true;
}

function hasRun(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** False when nobody is left in the group. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    // Windows knows no groups; there the child alone is ended.
    process.kill(process.platform === "win32" ? pid : -pid, signal);
    return true;
  } catch {
    // ESRCH: nobody is left. EPERM: only what is not ours to signal (on macOS: zombies) is left.
    return false;
  }
}
