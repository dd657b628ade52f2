// `npm run faults`: kills the store's writer at its k-th write, k = 1…200, twice: each time on a new store, and each time
// on the store that all the kills before have left. After each kill everything that was acknowledged must be there, and
// every log dense and whole. Needs strace. Takes about 5 minutes; `npm run faults -- 40` stops at k = 40.
// It proves nothing of power loss: what was written and not synced is still in the system's memory here.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findLosses, writeUnderFault } from "./strace-writer.ts";

const kills = Number(process.argv[2] ?? 200);
if (!Number.isInteger(kills) || kills < 1) throw new Error("usage: npm run faults -- [how many writes]");

interface Outcome {
  readonly acknowledged: string[];
  readonly losses: string[];
  missed: number;
}

async function killAt(folder: string, count: number, outcome: Outcome): Promise<void> {
  const end = await writeUnderFault(folder, { calls: ["pwrite64"], count, effect: "signal=SIGKILL" });
  if (end.signal !== "SIGKILL") outcome.missed += 1;
  outcome.acknowledged.push(...end.acknowledged);
  const losses = await findLosses(folder, outcome.acknowledged);
  outcome.losses.push(...losses.map((loss) => `write ${count}: ${loss}`));
}

async function inNewFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "atoll-faults-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const fresh: Outcome = { acknowledged: [], losses: [], missed: 0 };
const grown: Outcome = { acknowledged: [], losses: [], missed: 0 };
const startedMs = performance.now();
await inNewFolder(async (kept) => {
  for (let count = 1; count <= kills; count++) {
    await inNewFolder(async (folder) => {
      const alone: Outcome = { acknowledged: [], losses: [], missed: 0 };
      await killAt(folder, count, alone);
      fresh.acknowledged.push(...alone.acknowledged);
      fresh.losses.push(...alone.losses);
      fresh.missed += alone.missed;
    });
    await killAt(kept, count, grown);
    if (count % 20 === 0)
      console.log(`${count} of ${kills} writes, ${Math.round((performance.now() - startedMs) / 1_000)} s`);
  }
});
for (const [name, { acknowledged, losses, missed }] of [
  ["a new store each time", fresh],
  ["one store for all kills", grown],
] as const) {
  console.log(
    `${name}: ${kills} kills, ${missed} missed, ${acknowledged.length} acknowledged, ${losses.length} losses`,
  );
  for (const loss of losses) console.log(`  ${loss}`);
}
// A kill that did not land, or no acknowledged change at all, proves nothing.
const proves = grown.acknowledged.length > 0 && fresh.missed + grown.missed === 0;
if (!proves) console.log("The planned faults did not land: this run proves nothing.");
process.exitCode = proves && fresh.losses.length + grown.losses.length === 0 ? 0 : 1;
