/** A mesh that stops while its MCP servers do not want to: inner bounds end before outer ones. */
import { readFileSync } from "node:fs";
import { createClient } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { ToolRouterService } from "../../gen/atoll/tool/v1/tool_router_service_pb.ts";
import { verifies } from "../requirements.ts";
import { startMeshProcess } from "../support/mesh-process.ts";
import type { Script } from "../support/sloppy-mcp/script.ts";
import { sloppyProgram } from "../support/sloppy-mcp/sloppy-program.ts";

const deaf = { ignore: ["SIGTERM", "SIGINT", "SIGHUP"] } as const;

/** A zombie that nobody reaps is not alive. */
function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

describe(`a mesh that is stopped ${verifies("E17", "L7")}`, () => {
  test.each<[string, Script, NodeJS.Signals]>([
    ["a server that ignores SIGTERM", { start: [[deaf]] }, "SIGTERM"],
    ["a server that ignores SIGINT", { start: [[deaf]] }, "SIGINT"],
    ["its children that ignore them, too", { start: [[deaf, { grandchild: ["SIGTERM", "SIGINT"] }]] }, "SIGTERM"],
    ["one that is still starting", { start: [[deaf]], initialize: [[{ hang: true }]] }, "SIGTERM"],
    [
      "one that writes without end",
      { start: [[deaf]], "notifications/initialized": [[{ flood: "{}\n", perSecond: 500 }]] },
      "SIGTERM",
    ],
  ])("ends with code 0 and leaves nothing behind, with %s", { timeout: 90_000 }, async (_case, script, signal) => {
    const { command, args, requests } = sloppyProgram(script);
    const servers = { stubborn: { command, args }, other: { command, args }, filesystem: { disabled: true } };
    const mesh = await startMeshProcess({ config: JSON.stringify({ mcpServers: servers }) });
    try {
      const isStarting = "initialize" in script;
      const pids = () => [...new Set(requests().map(({ pid }) => pid))];
      await expect.poll(pids, { timeout: 30_000 }).toHaveLength(2);
      const router = createClient(ToolRouterService, mesh.transport());
      if (!isStarting) await router.listTools({});
      expect(await mesh.processOf("mesh").end(signal), mesh.log()).toBe(0);
      const children = [...mesh.log().matchAll(/"stderr":"(\d+)"/g)].map(([, pid]) => Number(pid));
      expect(children).toHaveLength(JSON.stringify(script).includes("grandchild") ? 2 : 0);
      expect([...pids(), ...children].filter(isAlive)).toEqual([]);
    } finally {
      await mesh.stop("SIGKILL");
    }
  });
});
