import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, it } from "vitest";
import { openSessionStore } from "../../services/session/store/open-session-store.ts";
import { verifies } from "../requirements.ts";
import { readLog, scope } from "./session-store/store-fixture.ts";

const kills = 5;
const writer = join(import.meta.dirname, "../support/store-writer.ts");

/** Runs the writer until it has acknowledged `count` changes, kills it, and returns everything that it acknowledged. */
async function writeAndKill(folder: string, count: number): Promise<string[]> {
  const child = spawn(process.execPath, [writer, folder], { stdio: ["ignore", "pipe", "inherit"] });
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (lines.length === count) {
      child.kill("SIGKILL");
    }
  }
  if (child.signalCode === null && child.exitCode === null) {
    await once(child, "exit");
  }
  expect(child.signalCode).toBe("SIGKILL");
  return lines;
}

it(`a killed process loses nothing that it acknowledged, and its logs stay dense ${verifies("S1", "S4", "R1")}`, async () => {
  const folder = mkdtempSync(join(tmpdir(), "atoll-kill-"));
  const acknowledged: string[] = [];
  for (let kill = 1; kill <= kills; kill++) {
    acknowledged.push(...(await writeAndKill(folder, 40 * kill)));
  }
  const store = await openSessionStore(folder, Date.now);
  const heads = new Map<string, number>();
  for (const line of acknowledged) {
    const [kind, runId = "", seq = ""] = line.split(" ");
    const run = await store.getRun(scope, runId);
    expect(run, line).toBeDefined();
    const sessionId = run?.sessionId ?? "";
    if (!heads.has(sessionId)) {
      heads.set(sessionId, (await readLog(store, sessionId)).length);
    }
    expect(heads.get(sessionId), line).toBeGreaterThanOrEqual(Number(seq));
    if (kind === "batch") {
      expect(run?.epoch, line).toBe(1);
      expect(run?.batchNo, line).toBeGreaterThan(0);
    }
  }
  expect(heads.size).toBeGreaterThanOrEqual(kills);
  await store.close();
  rmSync(folder, { recursive: true });
}, 120_000);
