// A short version of `npm run faults` (kill-at-write.ts), and failed syncs. Needs strace, as .ci/run installs it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { verifies } from "../requirements.ts";
import { findLosses, writeUnderFault } from "./strace-writer.ts";

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "atoll-faults-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

it(`a store that is killed in the middle of a write keeps all that it acknowledged ${verifies("S1", "S4", "R1")}`, async () => {
  const folder = makeFolder();
  const acknowledged: string[] = [];
  for (const count of [1, 3, 9, 20, 34, 55, 80, 111, 140, 163, 187, 200]) {
    const end = await writeUnderFault(folder, { calls: ["pwrite64"], count, effect: "signal=SIGKILL" });
    expect(end.signal, `write ${count}`).toBe("SIGKILL");
    acknowledged.push(...end.acknowledged);
    expect(await findLosses(folder, acknowledged), `write ${count}`).toEqual([]);
  }
  expect(acknowledged.length).toBeGreaterThan(0);
}, 120_000);

it(`a process whose disk did not confirm a write ends, and what it had acknowledged is there ${verifies("S4", "L9")}`, async () => {
  const folder = makeFolder();
  const acknowledged: string[] = [];
  for (const count of [6, 12, 25]) {
    const end = await writeUnderFault(folder, { calls: ["fsync", "fdatasync"], count, effect: "error=EIO" });
    expect(end.code, `sync ${count}`).toBe(3);
    acknowledged.push(...end.acknowledged);
    expect(await findLosses(folder, acknowledged), `sync ${count}`).toEqual([]);
  }
  expect(acknowledged.length).toBeGreaterThan(0);
}, 60_000);
