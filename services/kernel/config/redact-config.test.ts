import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { toJsonString } from "@bufbuild/protobuf";
import { afterAll, expect, it } from "vitest";
import { MeshConfigSchema } from "../../../gen/atoll/config/v1/mesh_config_pb.ts";
import { loadConfig } from "./load-config.ts";
import { redactConfig } from "./redact-config.ts";

const cwd = mkdtempSync(path.join(tmpdir(), "atoll-redact-"));
afterAll(() => rmSync(cwd, { recursive: true }));

const full = `
listen: "[::1]:0"
models: {anthropic: {baseUrl: "https://me:s3cret@h/v1?key=s3cret"}}
mcpServers:
  files: {command: x, args: [--api-key=s3cret, --token, s3cret, --verbose, "PASSWORD=s3cret", "http://u:s3cret@h"], env: {K: s3cret}}
  web: {url: "https://h/mcp?api_key=s3cret", headers: {Authorization: "Bearer \${KEY}"}}
peers: {agent: "http://u:s3cret@h:1"}
agents: {main: {tools: ["files.*"], maxDurationMs: 5}}
sessions: {directScope: main, bindings: {"thread:slack:*": main}}
`;

it("shows what is in force, defaults included, without any secret", () => {
  writeFileSync(path.join(cwd, "atoll.yaml"), full);
  const config = loadConfig({ cwd, env: { KEY: "s3cret", ANTHROPIC_API_KEY: "s3cret", PATH: "/bin" } });
  const shown = redactConfig(config);
  expect(toJsonString(MeshConfigSchema, shown)).not.toContain("s3cret");
  expect(shown).toMatchObject({
    listen: "[::1]:0",
    runs: { leaseTtlMs: 5000 },
    models: { defaultModel: "anthropic/claude-sonnet-5-5", anthropic: { apiKey: "[kept]" } },
    agents: { main: { tools: ["files.*"], maxDurationMs: 5n } },
    sessions: { directScope: "main", bindings: { "thread:slack:*": "main" } },
  });
  expect(shown.mcpServers.files).toMatchObject({
    args: ["--api-key=[kept]", "--token", "[kept]", "--verbose", "PASSWORD=[kept]", "http://[kept]@h"],
    env: { K: "[kept]" },
  });
  expect(shown.mcpServers.web).toMatchObject({
    url: "https://h/mcp?[kept]",
    headers: { Authorization: `Bearer \${KEY}` },
  });
});

it.each([
  "",
  "agents: {main: {tools: []}, other: {tools: [files.read], maxSteps: 3, thinkingTokens: 9, queueMode: steer}}",
  "runs: {deltaWindowMs: 0, reattachGraceMs: 0, workerCapacity: 0, cancelGraceMs: 0}\nlifecycle: {drainTimeoutMs: 0}",
  "models: {anthropic: {maxRetries: 0}, offline: {tokenDelayMs: 0}, aliases: {quick: offline/scripted}}",
  "sessions: {retentionDays: 3, maxLogBytes: 9000, timeZone: Europe/Vienna, bindings: {'group:*': main}}",
])("is a configuration that says the same when it is read again: %s", (written) => {
  const load = (text: string) => {
    writeFileSync(path.join(cwd, "atoll.yaml"), text);
    return loadConfig({ cwd, env: {} });
  };
  const config = load(written);
  const again = load(toJsonString(MeshConfigSchema, redactConfig(config)));
  for (const part of ["agents", "runs", "limits", "sessions", "models", "lifecycle", "worker"] as const) {
    expect([part, again[part]]).toEqual([part, config[part]]);
  }
});

it("takes 0 where it means something, and nowhere else", () => {
  const load = (text: string) => {
    writeFileSync(path.join(cwd, "atoll.yaml"), text);
    return loadConfig({ cwd, env: {} });
  };
  const config = load("runs: {deltaWindowMs: 0}\nlifecycle: {drainTimeoutMs: 0}");
  expect(config.runs).toMatchObject({ deltaWindowMs: 0, reattachGraceMs: 500 });
  expect(config.lifecycle).toEqual({ drainTimeoutMs: 0 });
  expect(() => load("runs: {leaseTtlMs: 0}")).toThrow("a whole number from 1");
});
