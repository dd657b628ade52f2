/**
 * Keeps load and servers off each other's cores, so that neither is measured as the other's slowness.
 *
 * The load (this process and the fake model) gets core 0, the mesh all others. Without `taskset`, or on one core,
 * nothing is pinned, and the report says so.
 */
import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";

/** "alone" for what works while nobody else does: V8's helper threads get the cores that are free then. */
export type Role = "load" | "mesh" | "alone";

const lastCore = availableParallelism() - 1;
const hasTaskset = lastCore > 0 && spawnSync("taskset", ["--version"]).status === 0;

/** Words for the report. */
export const pinning = hasTaskset ? `load on core 0, mesh on ${coresOf("mesh")}` : "none: no taskset, or one core only";

/** Pins every thread of a process; threads and children that it makes later follow. */
export function pinProcess(pid: number, role: Role): void {
  if (!hasTaskset) return;
  const { status, stderr } = spawnSync("taskset", ["-a", "-c", "-p", coresOf(role), String(pid)], { encoding: "utf8" });
  if (status !== 0) throw new Error(`taskset could not pin process ${pid}: ${stderr.trim()}`);
}

function coresOf(role: Role): string {
  if (role === "load") return "0";
  if (role === "alone") return `0-${lastCore}`;
  return lastCore === 1 ? "1" : `1-${lastCore}`;
}
