/** What a start takes where Atoll lies: in a checkout, or in the package that is installed. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { GatewayService } from "../../../gen/atoll/gateway/v1/gateway_service_pb.ts";
import { transportTo } from "../../support/mesh-process.ts";
import { readMemoryMb } from "../process-usage.ts";
import { type StartedMesh, type StartTimes, startMeshTimed, timeNode } from "./mesh-start.ts";
import type { PackageSize } from "./production-size.ts";

export interface Place {
  readonly name: string;
  /** The file that Node runs. */
  readonly program: string;
  readonly packages: readonly PackageSize[];
}

export interface MemoryRun {
  readonly idleMb: number;
  readonly idleAnonymousMb: number;
  readonly afterTurnMb: number;
  readonly laterMb: number;
}

export interface PlaceTimes {
  /** Empty compile cache each. */
  readonly cold: readonly StartTimes[];
  /** With the compile cache that earlier starts filled. */
  readonly warm: readonly StartTimes[];
  /** `node -e 0` beside each of them. */
  readonly nodeMs: readonly number[];
}

export const idleMs = 3_000;
export const afterTurnMs = 5_000;

/** @param folder For everything that the starts make. */
export async function measureStarts({ program }: Place, folder: string, starts: number): Promise<PlaceTimes> {
  const times = { cold: [] as StartTimes[], warm: [] as StartTimes[], nodeMs: [] as number[] };
  const warmCache = join(folder, "warm-cache");
  const startOnce = async (compileCache: string): Promise<StartTimes> => {
    const mesh = await startMeshTimed(program, newHome(folder), compileCache);
    await mesh.stop();
    return mesh.times;
  };
  // Two starts that do not count: the first fills the disk cache, and both the warm compile cache.
  for (let start = -2; start < starts; start++) {
    const nodeMs = await timeNode();
    const warm = await startOnce(warmCache);
    if (start < 0) continue;
    times.nodeMs.push(nodeMs);
    times.warm.push(warm);
    times.cold.push(await startOnce(mkdtempSync(join(folder, "cold-cache-"))));
  }
  return times;
}

export async function measureMemory({ program }: Place, folder: string, repeats: number): Promise<MemoryRun[]> {
  const runs: MemoryRun[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const mesh = await startMeshTimed(program, newHome(folder), join(folder, "warm-cache"));
    try {
      await sleep(idleMs);
      const idle = readMemoryMb(mesh.pid);
      await runToolTurn(mesh);
      const afterTurnMb = readMemoryMb(mesh.pid).rss;
      await sleep(afterTurnMs);
      const laterMb = readMemoryMb(mesh.pid).rss;
      runs.push({ idleMb: idle.rss, idleAnonymousMb: idle.anonymous, afterTurnMb, laterMb });
    } finally {
      await mesh.stop();
    }
  }
  return runs;
}

/** A turn of the offline model that reads a file; throws when no tool was really called. */
async function runToolTurn({ url, token }: StartedMesh): Promise<void> {
  const client = createClient(GatewayService, transportTo(url, token));
  const call = { timeoutMs: 30_000 };
  const { sessionId, runId } = await client.sendMessage(
    {
      requestId: "bench-boot",
      session: { case: "sessionKey", value: "bench" },
      message: { content: [{ block: { case: "text", value: { text: "What does notes.md say?" } } }] },
    },
    call,
  );
  let finishedCalls = 0;
  for await (const { events } of client.subscribe({ sessionId, untilRunId: runId }, call)) {
    finishedCalls += events.filter(({ body }) => body.case === "toolCallFinished").length;
  }
  if (finishedCalls === 0) throw new Error("the turn called no tool");
}

function newHome(folder: string): string {
  const home = mkdtempSync(join(folder, "mesh-"));
  mkdirSync(join(home, "workspace"));
  writeFileSync(join(home, "workspace", "notes.md"), "# Notes\nBuy a boat.\n");
  return home;
}
