/** A split mesh with a scripted model and a probe server, whose wall clock a test sets for all its processes. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type ScriptedMesh, startScriptedMesh } from "../e2e/scripted-mesh.fixture.ts";
import { openClock } from "../support/jumping-clock.ts";

const probe = resolve(import.meta.dirname, "../support/mcp-probe-server.ts");

export interface JumpingMesh extends ScriptedMesh {
  readonly clock: ReturnType<typeof openClock>;
}

export async function startJumpingMesh(): Promise<JumpingMesh> {
  const folder = mkdtempSync(join(tmpdir(), "atoll-jumping-"));
  const clock = openClock(join(folder, "clock"));
  const scripted = await startScriptedMesh({
    topology: "split",
    config: JSON.stringify({
      agents: { main: { tools: ["probe.echo", "probe.slow"] }, other: {} },
      mcpServers: {
        filesystem: { disabled: true },
        probe: { command: process.execPath, args: [probe, `--history=${join(folder, "calls.jsonl")}`], trusted: true },
      },
    }),
    env: {
      NODE_OPTIONS: `--import=${resolve(import.meta.dirname, "../support/jumping-clock.ts")}`,
      ATOLL_TEST_CLOCK: join(folder, "clock"),
    },
  });
  return {
    ...scripted,
    clock,
    async stop() {
      await scripted.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
