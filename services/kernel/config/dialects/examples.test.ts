// What each configuration that people paste from other programs becomes, and the warnings that it gets, line by line.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { verifies } from "../../../../test/requirements.ts";
import { loadConfig } from "../load-config.ts";
import type { ResolvedMcpServer } from "../resolved-config.ts";
import { exampleEnv, examples, placeExample } from "./examples.fixture.ts";

describe("a configuration of another program", () => {
  let cwd: string;

  beforeEach(() => {
    cwd = mkdtempSync(path.join(tmpdir(), "atoll-example-"));
    return () => rmSync(cwd, { recursive: true });
  });

  it(`is one of more than forty ${verifies("FC3")}`, () => {
    expect(examples.length).toBeGreaterThanOrEqual(40);
    expect(new Set(examples.map(({ file }) => file)).size).toBe(examples.length);
  });

  it.each(examples)(
    `starts, with the warnings that it should: $file ${verifies("FC2", "FC3", "F1")}`,
    async (example) => {
      const file = placeExample(example, cwd);
      const env = { ...exampleEnv, HOME: "/home/me" };
      const config = loadConfig({ cwd, env, terminal: false, flags: { config: file } });
      const result = {
        servers: Object.fromEntries([...config.mcpServers].map(([name, server]) => [name, facts(server)])),
        warnings: config.warnings.map(({ path: at, text }) => `${at}: ${text}`),
      };
      // The built-in server's program stands elsewhere on each machine.
      const text = JSON.stringify(result, null, 2).replaceAll(cwd, "<folder>").replaceAll(process.execPath, "<node>");
      const shown = text.replace(/"[^"]*server-filesystem[^"]*\.js"/g, '"<server-filesystem>"');
      await expect(`${shown}\n`).toMatchFileSnapshot(`examples/${example.file}.expected`);
    },
  );
});

/** What differs from a sound server with defaults. */
function facts(server: ResolvedMcpServer): Record<string, unknown> {
  const { name: _, written: _written, transport: _transport, ...rest } = server;
  const plain: Record<string, unknown> = {
    ...{ title: "", disabled: false, problem: "", startTimeoutMs: 30_000, callTimeoutMs: 60_000, trusted: true },
    callMaxDurationMs: 900_000,
    ...{ repeatableTools: [], includeTools: [], excludeTools: [], env: {}, headers: {}, args: [], cwd: "" },
  };
  return Object.fromEntries(
    Object.entries(rest).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(plain[key])),
  );
}
