/** What the kernel says that a process has used. Linux only: elsewhere NaN, which the reports print as "–". */
import { readFileSync } from "node:fs";

/** Ticks a second of /proc/PID/stat (USER_HZ), which Linux fixes at 100 for user space. */
const ticksPerSecond = 100;
const bytesPerMb = 1_000_000;

/** Resident memory in MB (10^6 bytes), and the part of it that no file backs. */
export function readMemoryMb(pid: number): { readonly rss: number; readonly anonymous: number } {
  const text = readProc(pid, "status");
  const read = (field: string): number => {
    const kib = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text)?.[1];
    return kib === undefined ? Number.NaN : (Number(kib) * 1_024) / bytesPerMb;
  };
  return { rss: read("VmRSS"), anonymous: read("RssAnon") };
}

/** Milliseconds of processor time, user and system, of all threads; children do not count. Steps of 10 ms. */
export function readCpuMs(pid: number): number {
  const text = readProc(pid, "stat");
  // The second field is the program's name in brackets and may hold spaces: count from behind it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / ticksPerSecond;
}

function readProc(pid: number, file: "status" | "stat"): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
