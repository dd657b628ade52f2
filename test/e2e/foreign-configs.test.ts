// The configurations of other programs, really started: a mesh for each, and for some with servers that answer.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ServerState } from "../../gen/atoll/tool/v1/tool_pb.ts";
import {
  type Example,
  exampleEnv,
  examples,
  placeExample,
} from "../../services/kernel/config/dialects/examples.fixture.ts";
import { loadConfig } from "../../services/kernel/config/load-config.ts";
import type { ResolvedConfig } from "../../services/kernel/config/resolved-config.ts";
import { filesystemCommand } from "../../services/kernel/config/resolving/filesystem-server.ts";
import { newId } from "../../services/kernel/id.ts";
import { createLog } from "../../services/kernel/log.ts";
import { type Mesh, startMesh } from "../../services/mesh/start-mesh.ts";
import { verifies } from "../requirements.ts";
import { transportTo } from "../support/mesh-process.ts";
import { clientOver, type MeshClient } from "./mesh-client.fixture.ts";

const probe = resolve(import.meta.dirname, "../support/mcp-probe-server.ts");
/** The programs that the examples name; none of them must really be run. */
const programs = ["npx", "uvx", "docker", "python", "node", "cmd"];
const slowStartMs = 60_000;

let bin: string;
let probeUrl: string;
let endProbe: () => void;

beforeAll(async () => {
  bin = mkdtempSync(join(tmpdir(), "atoll-bin-"));
  for (const program of programs) {
    const file = join(bin, program);
    writeFileSync(file, `#!/bin/sh\nexec '${process.execPath}' '${probe}'\n`);
    chmodSync(file, 0o755);
  }
  const child = spawn(process.execPath, [probe, "--http"], { stdio: ["ignore", "pipe", "ignore"] });
  endProbe = () => void child.kill();
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  probeUrl = line.toString().trim();
});

afterAll(() => {
  endProbe();
  rmSync(bin, { recursive: true, force: true });
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "atoll-foreign-"));
  // One of them starts its server in a folder of its own.
  mkdirSync(join(folder, "mcp-servers", "python"), { recursive: true });
  return () => rmSync(folder, { recursive: true, force: true });
});

/** The example in its place, with addresses that lead to nobody but the probe. */
function configOf(example: Example, path: string): ResolvedConfig {
  const change = (text: string): string => text.replaceAll(/https?:\/\/[\w.-]+\.invalid(:\d+)?[^"'\s,}]*/g, probeUrl);
  const config = placeExample(example, folder, change);
  const env = { ...exampleEnv, HOME: folder, PATH: path };
  return loadConfig({ cwd: folder, env, terminal: false, flags: { config, listen: "127.0.0.1:0" } });
}

async function withMesh(config: ResolvedConfig, use: (client: MeshClient, mesh: Mesh) => Promise<void>): Promise<void> {
  const mesh = await startMesh({
    config,
    log: createLog({ level: "silent", format: "json" }),
    version: "test",
    webFolder: folder,
    onStoreBroken: (error) => {
      throw error;
    },
  });
  try {
    const token = readFileSync(join(config.dataDir, "token"), "utf8").trim();
    await use(clientOver(transportTo(mesh.url, token)), mesh);
  } finally {
    await mesh.lifecycle.closeNow();
  }
}

describe("a mesh with another program's configuration", () => {
  test.each(examples)(`starts and knows each server: $file ${verifies("FC3", "FC2", "F1")}`, async (example) => {
    // No program is found there: what a server does is another test's business.
    const config = configOf(example, join(folder, "nothing"));
    await withMesh(config, async (client) => {
      const { servers } = await client.tools.listServers({ pageSize: 500 });
      expect(servers.map(({ name }) => name).sort()).toEqual([...config.mcpServers.keys()].sort());
      for (const server of servers) {
        const resolved = config.mcpServers.get(server.name);
        if (resolved?.problem !== "") {
          expect(server).toMatchObject({
            state: ServerState.STOPPED,
            problem: expect.stringContaining(resolved?.problem.slice(0, 40) ?? ""),
          });
        }
        if (resolved?.title !== "") expect(server.serverTitle).toBe(resolved?.title);
      }
    });
  });

  const sample = [
    "vscode-mcp.json",
    "codex.yaml",
    "opencode.json",
    "goose.yaml",
    "continue.yaml",
    "gemini-cli.json",
    "smithery.json",
    "unicode-names.json",
  ];

  test.each(examples.filter(({ file }) => sample.includes(file)))(
    `has the tools of each server that can be used: $file ${verifies("FC3", "FC2", "F1")}`,
    async (example) => {
      const config = configOf(example, `${bin}${delimiter}/usr/bin${delimiter}/bin`);
      const usable = [...config.mcpServers.values()].filter(({ disabled }) => !disabled);
      expect(usable.length).toBeGreaterThan(0);
      await withMesh(config, async (client) => {
        const readyNames = async () => {
          const { servers } = await client.tools.listServers({ pageSize: 500 });
          return servers.filter(({ state }) => state === ServerState.READY).map(({ name }) => name);
        };
        await expect.poll(readyNames, { timeout: slowStartMs, interval: 200 }).toHaveLength(usable.length);
        const { tools } = await client.tools.listTools({ pageSize: 1_000 });
        const names = new Set(tools.map(({ name }) => name));
        for (const { name, includeTools, excludeTools } of usable) {
          for (const tool of ["echo", "add", "fail", "slow"]) {
            const isWanted = (includeTools.length === 0 || includeTools.includes(tool)) && !excludeTools.includes(tool);
            expect([`${name}.${tool}`, names.has(`${name}.${tool}`)]).toEqual([`${name}.${tool}`, isWanted]);
          }
        }
        for (const { name, disabled } of config.mcpServers.values()) {
          if (disabled) expect([...names].filter((tool) => tool.startsWith(`${name}.`))).toEqual([]);
        }
      });
    },
    slowStartMs * 2,
  );
});

test(
  `the README's own example works as it is written: its files are those of the folder beside it ${verifies("FC1", "FC2")}`,
  async () => {
    const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
    const [, example = ""] = /works when pasted:\n\n((?: {4}.*\n|\n)+)/.exec(readme) ?? [];
    writeFileSync(join(folder, "atoll.yaml"), example.replaceAll(/^ {4}/gm, ""));
    mkdirSync(join(folder, "workspace"));
    writeFileSync(join(folder, "workspace", "notes.md"), "Buy a boat.");
    // As `npx -y @modelcontextprotocol/server-filesystem` does, without asking a registry for it.
    const npx = join(folder, "bin", "npx");
    const { command, args } = filesystemCommand("");
    mkdirSync(join(folder, "bin"));
    writeFileSync(npx, `#!/bin/sh\nshift 2\nexec '${command}' '${args[0]}' "$@"\n`);
    chmodSync(npx, 0o755);
    const env = { HOME: folder, PATH: `${join(folder, "bin")}${delimiter}/usr/bin${delimiter}/bin` };
    const config = loadConfig({ cwd: folder, env, terminal: false, flags: { listen: "127.0.0.1:0" } });
    expect(config.warnings.map(({ path }) => path)).toEqual(["mcpServers.github.headers.authorization"]);
    await withMesh(config, async (client) => {
      const read = async () => {
        const call = {
          callId: newId("call"),
          tool: "filesystem.read_text_file",
          argumentsJson: '{"path":"notes.md"}',
          context: {},
        };
        const { result } = await client.tools.invokeTool({ call }).catch(() => ({ result: undefined }));
        return result?.content.map(({ block }) => (block.case === "text" ? block.value.text : "")).join("");
      };
      await expect.poll(read, { timeout: slowStartMs, interval: 500 }).toContain("Buy a boat.");
    });
  },
  slowStartMs * 2,
);
