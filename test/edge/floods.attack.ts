/** Ten clients that flood and come again, from the address of everybody else: row 11 of the attacks, and its siblings. */
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { verifies } from "../requirements.ts";
import { processorMsOf, startTarget, watchOthers } from "./attack.fixture.ts";

vi.setConfig({ testTimeout: 180_000 });

const program = resolve(import.meta.dirname, "flood-program.ts");
const floodMs = 4_000;

// Two at once, each with a mesh of its own: what they wait for is mostly the wait that the floods get.
test.each([
  ["reset", "ping"],
  ["settings", "window-update"],
  ["empty-data", "continuation"],
])(`floods of %s and %s are paid by their address: a growing wait ${verifies("E11", "F4")}`, async (...kinds) => {
  await Promise.all(kinds.map(flood));
});

async function flood(kind: string): Promise<void> {
  const mesh = await startTarget();
  const { pid } = mesh.processOf("mesh");
  // Its connection is there before the flood, and keeps working: it comes from the same address.
  const before = await (await watchOthersFor(mesh, 1_000)).stop();
  const others = await watchOthers(mesh);
  const child = spawn(process.execPath, [program, mesh.url, kind], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let connections = 0;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    connections = Number(text.trim().split("\n").at(-1));
  });
  await expect.poll(() => mesh.log(), { timeout: 60_000, message: kind }).toContain("ADDRESS_PENALTY");
  const busyMs = processorMsOf(pid);
  await new Promise((settle) => setTimeout(settle, floodMs));
  const share = (processorMsOf(pid) - busyMs) / floodMs;
  const waits = await others.stop();
  child.kill("SIGKILL");
  console.info(
    `${kind}: others ${JSON.stringify(before)} before, ${JSON.stringify(waits)} during; ${connections} connections tried, ${Math.round(share * 100)} % of a core`,
  );
  // Without the wait they would come by the thousands, and each would be served its burst.
  expect(connections, kind).toBeLessThan(500);
  expect(waits.count, kind).toBeGreaterThan(5);
  // A new connection of a caller with a right token waits, within a bound, and is served.
  await (await watchOthers(mesh)).stop();
}

async function watchOthersFor(mesh: Parameters<typeof watchOthers>[0], ms: number): ReturnType<typeof watchOthers> {
  const others = await watchOthers(mesh);
  await new Promise((settle) => setTimeout(settle, ms));
  return others;
}
